"""A calibration as one HTML file that a person opens.

Arrays in, text out: this package knows neither where the numbers came from nor where the
page is stored.
"""

from etl_jobs.report.data import Group, ReportData
from etl_jobs.report.page import render

__all__ = ["ReportData", "Group", "render"]

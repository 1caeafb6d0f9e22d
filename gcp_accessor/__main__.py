"""`python -m gcp_accessor` is `gcp-accessor`."""

from gcp_accessor.cli import main

raise SystemExit(main())

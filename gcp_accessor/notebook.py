"""SQL cells: `%load_ext gcp_accessor` gives a notebook `%%bq` and `%bq_use`."""

from __future__ import annotations

import argparse
import keyword
import shlex
from functools import partial
from typing import TYPE_CHECKING, NoReturn, TypeVar, cast

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand
from IPython.display import display

from gcp_accessor.bigquery import BigQueryAccessor
from gcp_accessor.byte_sizes import bytes_text, parse_bytes
from gcp_accessor.explanation import expected_errors, explanation
from gcp_accessor.parameters import names_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell

    from gcp_accessor.backends import Estimate
    from gcp_accessor.query_result import QueryResult

T = TypeVar("T")

_FORMS: dict[str, Callable[[QueryResult], object]] = {
    "frame": lambda result: result.to_dataframe(),
    "arrow": lambda result: result.to_arrow(),
    "records": lambda result: result.records(),
    "result": lambda result: result,
}
_PLACE = ("project", "local", "dataset", "location")


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Give the notebook `%%bq` and `%bq_use`; what `%load_ext gcp_accessor` calls."""
    shell.register_magics(BigQueryMagics)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take `%%bq` and `%bq_use` away again."""
    shell.magics_manager.magics["cell"].pop("bq", None)
    shell.magics_manager.magics["line"].pop("bq_use", None)


@magics_class
class BigQueryMagics(Magics):
    """The magics, and the accessor that they use where a cell names none."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self._chosen: BigQueryAccessor | None = None
        # Connections are kept: a cell that runs again signs in no second time.
        self._made: dict[tuple[str | None, ...], BigQueryAccessor] = {}

    @no_var_expand
    @line_magic
    def bq_use(self, line: str) -> None:
        """Say where the cells below run: in an accessor, or in a place.

        %bq_use warehouse                      a BigQueryAccessor of this notebook
        %bq_use --local demo --dataset exams   a folder
        %bq_use --project p --dataset exams    Google Cloud
        %bq_use                                what the environment says
        """
        options = _parsed(_use_parser(), line)
        self._chosen = None
        self._chosen = self._accessor(options.accessor, options)

    @no_var_expand
    @cell_magic
    def bq(self, line: str, cell: str) -> object:
        """Run the cell's SQL, show ten rows and what they cost, and keep the result.

        %%bq                       show the result; Out[n] is the QueryResult
        %%bq answers               and keep it as the DataFrame `answers`
        %%bq answers --as arrow    or frame, records, result
        %%bq --dry-run             only say what the query would read
        %%bq --max-bytes 10GB      refuse to read more than that
        %%bq --param n=10          @n is 10; otherwise @n is the notebook's variable n
        %%bq --params window       the values are those of the dict `window`
        %%bq --with warehouse      run it in this accessor, this once
        %%bq --local demo          or --project, --dataset, --location
        %%bq answers --no-display  keep it and show nothing

        Values are Python: --param "day=date(2024, 3, 1)", --param "name='ana'",
        --params '{"n": 10}'. They travel as query parameters, never as text of the SQL.
        """
        options = _parsed(_query_parser(), line)
        if not cell.strip():
            raise UsageError("the cell has no SQL; write it below the line of %%bq")
        accessor = self._accessor(options.with_, options)
        values = self._values(cell, options)
        if options.dry_run:
            estimate = _briefly(partial(accessor.estimate, cell, values))
            if not options.no_display:
                print(_in_words(estimate))
            if options.name is not None:
                self._variables[options.name] = estimate
            return None
        result = _briefly(partial(accessor.query, cell, values, max_bytes_billed=options.max_bytes))
        if options.name is None and options.as_ is None:
            # It shows itself, as any cell's last value does.
            return None if options.no_display else result
        if not options.no_display:
            display(result)
        kept = _briefly(partial(_FORMS[options.as_ or "frame"], result))
        if options.name is None:
            return kept
        self._variables[options.name] = kept
        return None

    def _accessor(self, name: str | None, options: argparse.Namespace) -> BigQueryAccessor:
        place = {option: getattr(options, option) for option in _PLACE}
        said = [f"--{option}" for option, value in place.items() if value is not None]
        if name is not None:
            if said:
                raise UsageError(f"{name} knows its place already; leave out {', '.join(said)}")
            return self._named(name)
        if self._chosen is not None and not said:
            return self._chosen
        key = tuple(place.values())
        if key not in self._made:
            try:
                self._made[key] = BigQueryAccessor(**place)
            except ValueError as error:
                raise UsageError(str(error)) from error
        return self._made[key]

    def _named(self, name: str) -> BigQueryAccessor:
        found = self._variables.get(name)
        if isinstance(found, BigQueryAccessor):
            return found
        what = f"of type {type(found).__name__}" if name in self._variables else "not defined"
        raise UsageError(f"{name} is {what}; expected a variable that holds a BigQueryAccessor")

    def _values(self, sql: str, options: argparse.Namespace) -> dict[str, object]:
        """Return what the statement's `@names` stand for: said here, or variables by the name."""
        values: dict[str, object] = {}
        if options.params is not None:
            # As in other SQL magics, a variable may have a dollar before it.
            given = self._value("--params", options.params.removeprefix("$"))
            if not isinstance(given, dict):
                raise UsageError(
                    f"--params {options.params} is a {type(given).__name__}; expected a dict"
                )
            values.update(given)
        for text in options.param:
            name, equals, expression = text.partition("=")
            if not equals:
                raise UsageError(f"--param {text} has no value; expected --param name=value")
            values[name.strip()] = self._value(f"--param {name}", expression)
        given_names = {str(name).lower() for name in values}
        for name in names_in(sql):
            if name.lower() in given_names:
                continue
            if name not in self._variables:
                raise UsageError(
                    f"the SQL uses @{name}; set a variable {name}, or write %%bq --param {name}=..."
                )
            values[name] = self._variables[name]
        return values

    def _value(self, option: str, expression: str) -> object:
        try:
            return cast("InteractiveShell", self.shell).ev(expression)
        # It is the notebook's own code, which may raise anything.
        except Exception as error:
            advice = ""
            if isinstance(error, NameError | SyntaxError):
                advice = "; a text has quotes within quotes, as in --param \"name='ana'\""
            raise UsageError(
                f"{option}: {expression} is not a value here: {error}{advice}"
            ) from error

    @property
    def _variables(self) -> dict[str, object]:
        return cast("dict[str, object]", cast("InteractiveShell", self.shell).user_ns)


# --- What stands after %%bq ---------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    def __init__(self, prog: str) -> None:
        super().__init__(prog=prog, add_help=False, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message.removeprefix('argument ')}; see {self.prog}?")


def _parsed(parser: argparse.ArgumentParser, line: str) -> argparse.Namespace:
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise UsageError(f"{parser.prog} {line}: {error}") from error
    return parser.parse_args(words)


def _use_parser() -> argparse.ArgumentParser:
    parser = _Parser("%bq_use")
    parser.add_argument("accessor", nargs="?")
    for option in _PLACE:
        parser.add_argument(f"--{option}")
    return parser


def _query_parser() -> argparse.ArgumentParser:
    parser = _Parser("%%bq")
    parser.add_argument("name", nargs="?", type=_variable)
    parser.add_argument("--as", dest="as_", choices=tuple(_FORMS))
    parser.add_argument("--params")
    parser.add_argument("--param", action="append", default=[])
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--max-bytes", type=_size)
    parser.add_argument("--with", dest="with_")
    parser.add_argument("--no-display", action="store_true")
    for option in _PLACE:
        parser.add_argument(f"--{option}")
    return parser


def _variable(text: str) -> str:
    if not text.isidentifier() or keyword.iskeyword(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a variable's name")
    return text


def _size(text: str) -> int:
    try:
        return parse_bytes(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


# --- What is said -------------------------------------------------------------------------


def _in_words(estimate: Estimate) -> str:
    tables = ", ".join(str(table) for table in estimate.tables)
    columns = ", ".join(f"{column.name} {column.type}" for column in estimate.schema)
    source = f" of {tables}" if tables else ""
    return (
        f"would read {bytes_text(estimate.bytes_processed)}{source}; nothing was run\n"
        f"columns: {columns or 'none'}"
    )


def _briefly(call: Callable[[], T]) -> T:
    """Return what the call returns. Of an error that is not ours, a cell shows the words alone."""
    try:
        return call()
    except Exception as error:
        # Besides our own errors a caller's mistake: a parameter that shows no type, say.
        if isinstance(error, (ValueError, TypeError, *expected_errors())):
            text = f"{type(error).__name__}: {explanation(error)}"
            # IPython asks an exception for this in place of its traceback.
            error.__dict__["_render_traceback_"] = partial(str.splitlines, text)
        raise

-- GoogleSQL's functions as macros of DuckDB, for the local warehouse.
--
-- A function is admitted when it behaves here as BigQuery documents it; what is missing is
-- refused by its name. `gs_f` is F; `x_safe_f` is SAFE.F, which gives NULL where F is an error;
-- the other `x_` are casts, operators and parts of functions.
-- Only typed overloads differ by type, so that a macro's result has BigQuery's type as well.
-- An error that starts with UNSUPPORTED: becomes UnsupportedLocally.

-- Operators ------------------------------------------------------------------------------

CREATE TEMP MACRO x_divide
  (a DECIMAL(38, 9), b DECIMAL(38, 9)) AS CAST(error('UNSUPPORTED: division of NUMERIC') AS DECIMAL(38, 9)),
  (a DOUBLE, b DOUBLE) AS CASE WHEN b = 0 THEN error('division by zero: ' || x_float_string(a) || ' / 0') ELSE a / b END;

CREATE TEMP MACRO x_add
  (a DATE, b BIGINT) AS a + CAST(b AS INTEGER),
  (a BIGINT, b DATE) AS b + CAST(a AS INTEGER),
  (a, b) AS a + b;

CREATE TEMP MACRO x_multiply
  (a BIGINT, b BIGINT) AS a * b,
  (a DECIMAL(38, 9), b DECIMAL(38, 9)) AS CAST(a * b AS DECIMAL(38, 9)),
  (a DOUBLE, b DOUBLE) AS a * b;

CREATE TEMP MACRO x_subtract
  (a DATE, b DATE) AS CAST(error('UNSUPPORTED: DATE - DATE; use DATE_DIFF') AS INTERVAL),
  (a TIMESTAMP, b TIMESTAMP) AS CAST(error('UNSUPPORTED: DATETIME - DATETIME; use DATETIME_DIFF') AS INTERVAL),
  (a TIMESTAMPTZ, b TIMESTAMPTZ) AS CAST(error('UNSUPPORTED: TIMESTAMP - TIMESTAMP; use TIMESTAMP_DIFF') AS INTERVAL),
  (a DATE, b BIGINT) AS a - CAST(b AS INTEGER),
  (a, b) AS a - b;

CREATE TEMP MACRO x_element(a, position) AS
  CASE WHEN position BETWEEN 1 AND len(a) OR a IS NULL OR position IS NULL THEN a[position]
  ELSE error('Array index ' || CAST(position - 1 AS VARCHAR) || ' is out of bounds') END;

CREATE TEMP MACRO x_safe_element(a, position) AS CASE WHEN position >= 1 THEN a[position] END;

-- Casts ----------------------------------------------------------------------------------

CREATE TEMP MACRO x_float_string(x) AS
  CASE WHEN x = 0 THEN '0'
  WHEN isnan(x) THEN 'nan'
  WHEN CAST(printf('%.15g', x) AS DOUBLE) = x THEN printf('%.15g', x)
  ELSE printf('%.17g', x) END;

CREATE TEMP MACRO x_time_string(x) AS
  CASE WHEN microsecond(x) % 1000000 = 0 THEN strftime(x, '%Y-%m-%d %H:%M:%S')
  WHEN microsecond(x) % 1000 = 0 THEN strftime(x, '%Y-%m-%d %H:%M:%S.%g')
  ELSE strftime(x, '%Y-%m-%d %H:%M:%S.%f') END;

CREATE TEMP MACRO x_cast_string
  (x VARCHAR) AS x,
  (x BIGINT) AS CAST(x AS VARCHAR),
  (x BOOLEAN) AS CAST(x AS VARCHAR),
  (x DATE) AS strftime(x, '%Y-%m-%d'),
  (x DOUBLE) AS x_float_string(x),
  (x DECIMAL(38, 9)) AS rtrim(rtrim(CAST(x AS VARCHAR), '0'), '.'),
  (x TIMESTAMP) AS x_time_string(x),
  (x TIMESTAMPTZ) AS x_time_string(CAST(x AS TIMESTAMP)) || '+00',
  (x BLOB) AS CASE WHEN x IS NOT NULL AND TRY(decode(x)) IS NULL THEN error('Invalid UTF-8 in a cast of BYTES to STRING') ELSE TRY(decode(x)) END;

CREATE TEMP MACRO x_safe_cast_string
  (x VARCHAR) AS x,
  (x BIGINT) AS x_cast_string(x),
  (x BOOLEAN) AS x_cast_string(x),
  (x DATE) AS x_cast_string(x),
  (x DOUBLE) AS x_cast_string(x),
  (x DECIMAL(38, 9)) AS x_cast_string(x),
  (x TIMESTAMP) AS x_cast_string(x),
  (x TIMESTAMPTZ) AS x_cast_string(x),
  (x BLOB) AS TRY(decode(x));

CREATE TEMP MACRO x_safe_cast_int64
  (x BIGINT) AS x,
  (x BOOLEAN) AS CAST(x AS BIGINT),
  (x HUGEINT) AS TRY_CAST(x AS BIGINT),
  (x DOUBLE) AS TRY_CAST(round(x) AS BIGINT),
  (x DECIMAL(38, 9)) AS TRY_CAST(x AS BIGINT),
  (x VARCHAR) AS CASE
    WHEN regexp_full_match(x, '\s*[+-]?[0-9]+\s*') THEN TRY_CAST(x AS BIGINT)
    WHEN regexp_full_match(x, '0[xX][0-9a-fA-F]{1,15}') THEN TRY_CAST(x AS BIGINT) END;

CREATE TEMP MACRO x_cast_int64
  (x BIGINT) AS x,
  (x BOOLEAN) AS CAST(x AS BIGINT),
  (x HUGEINT) AS CAST(x AS BIGINT),
  (x DOUBLE) AS CASE WHEN x IS NOT NULL AND x_safe_cast_int64(x) IS NULL THEN error('Illegal conversion of ' || x_float_string(x) || ' to INT64') ELSE x_safe_cast_int64(x) END,
  (x DECIMAL(38, 9)) AS CAST(x AS BIGINT),
  (x VARCHAR) AS CASE WHEN x IS NOT NULL AND x_safe_cast_int64(x) IS NULL THEN error('Bad int64 value: ' || x) ELSE x_safe_cast_int64(x) END;

CREATE TEMP MACRO x_safe_cast_float64
  (x DOUBLE) AS x,
  (x BIGINT) AS CAST(x AS DOUBLE),
  (x DECIMAL(38, 9)) AS CAST(x AS DOUBLE),
  (x VARCHAR) AS CASE WHEN regexp_full_match(x, '(?i)\s*[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|inf|infinity|nan)\s*') THEN TRY_CAST(x AS DOUBLE) END;

CREATE TEMP MACRO x_cast_float64
  (x DOUBLE) AS x,
  (x BIGINT) AS CAST(x AS DOUBLE),
  (x DECIMAL(38, 9)) AS CAST(x AS DOUBLE),
  (x VARCHAR) AS CASE WHEN x IS NOT NULL AND x_safe_cast_float64(x) IS NULL THEN error('Bad double value: ' || x) ELSE x_safe_cast_float64(x) END;

CREATE TEMP MACRO x_safe_cast_numeric
  (x DECIMAL(38, 9)) AS x,
  (x BIGINT) AS CAST(x AS DECIMAL(38, 9)),
  (x DOUBLE) AS TRY_CAST(x AS DECIMAL(38, 9)),
  (x VARCHAR) AS CASE WHEN regexp_full_match(x, '\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*') THEN TRY_CAST(x AS DECIMAL(38, 9)) END;

CREATE TEMP MACRO x_cast_numeric
  (x DECIMAL(38, 9)) AS x,
  (x BIGINT) AS CAST(x AS DECIMAL(38, 9)),
  (x DOUBLE) AS CAST(x AS DECIMAL(38, 9)),
  (x VARCHAR) AS CASE WHEN x IS NOT NULL AND x_safe_cast_numeric(x) IS NULL THEN error('Invalid NUMERIC value: ' || x) ELSE x_safe_cast_numeric(x) END;

CREATE TEMP MACRO x_safe_cast_bool
  (x BOOLEAN) AS x,
  (x BIGINT) AS x <> 0,
  (x VARCHAR) AS CASE lower(x) WHEN 'true' THEN TRUE WHEN 'false' THEN FALSE END;

CREATE TEMP MACRO x_cast_bool
  (x BOOLEAN) AS x,
  (x BIGINT) AS x <> 0,
  (x VARCHAR) AS CASE WHEN x IS NOT NULL AND x_safe_cast_bool(x) IS NULL THEN error('Bad bool value: ' || x) ELSE x_safe_cast_bool(x) END;

CREATE TEMP MACRO x_safe_cast_date
  (x DATE) AS x,
  (x TIMESTAMP) AS CAST(x AS DATE),
  (x TIMESTAMPTZ) AS CAST(x AS DATE),
  (x VARCHAR) AS CASE WHEN regexp_full_match(x, '[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}') THEN TRY_CAST(x AS DATE) END;

CREATE TEMP MACRO x_cast_date
  (x DATE) AS x,
  (x TIMESTAMP) AS CAST(x AS DATE),
  (x TIMESTAMPTZ) AS CAST(x AS DATE),
  (x VARCHAR) AS CASE WHEN x IS NOT NULL AND x_safe_cast_date(x) IS NULL THEN error('Invalid date: ''' || x || '''') ELSE x_safe_cast_date(x) END;

CREATE TEMP MACRO x_safe_cast_timestamp
  (x TIMESTAMPTZ) AS x,
  (x TIMESTAMP) AS CAST(x AS TIMESTAMPTZ),
  (x DATE) AS CAST(x AS TIMESTAMPTZ),
  (x VARCHAR) AS CASE WHEN regexp_full_match(x, '[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([ Tt][0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}(\.[0-9]{0,6})?)?( ?([Zz]|UTC|[+-][0-9]{1,2}(:[0-9]{2})?))?') THEN
    TRY_CAST(regexp_replace(regexp_replace(regexp_replace(upper(x), ' ?UTC$', 'Z'), ' ([-+][0-9:]+)$', '\1'), '([-+])([0-9])(:[0-9]{2})?$', '\10\2\3') AS TIMESTAMPTZ) END;

CREATE TEMP MACRO x_cast_timestamp
  (x TIMESTAMPTZ) AS x,
  (x TIMESTAMP) AS CAST(x AS TIMESTAMPTZ),
  (x DATE) AS CAST(x AS TIMESTAMPTZ),
  (x VARCHAR) AS CASE WHEN x IS NOT NULL AND x_safe_cast_timestamp(x) IS NULL THEN error('Invalid timestamp: ''' || x || '''') ELSE x_safe_cast_timestamp(x) END;

CREATE TEMP MACRO x_safe_cast_datetime
  (x TIMESTAMP) AS x,
  (x TIMESTAMPTZ) AS CAST(x AS TIMESTAMP),
  (x DATE) AS CAST(x AS TIMESTAMP),
  (x VARCHAR) AS CASE WHEN regexp_full_match(x, '[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([ Tt][0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}(\.[0-9]{0,6})?)?') THEN TRY_CAST(upper(x) AS TIMESTAMP) END;

CREATE TEMP MACRO x_cast_datetime
  (x TIMESTAMP) AS x,
  (x TIMESTAMPTZ) AS CAST(x AS TIMESTAMP),
  (x DATE) AS CAST(x AS TIMESTAMP),
  (x VARCHAR) AS CASE WHEN x IS NOT NULL AND x_safe_cast_datetime(x) IS NULL THEN error('Invalid datetime string "' || x || '"') ELSE x_safe_cast_datetime(x) END;

CREATE TEMP MACRO x_safe_cast_time
  (x TIME) AS x,
  (x TIMESTAMP) AS CAST(x AS TIME),
  (x TIMESTAMPTZ) AS CAST(CAST(x AS TIMESTAMP) AS TIME),
  (x VARCHAR) AS CASE WHEN regexp_full_match(x, '[0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}(\.[0-9]{0,6})?') THEN TRY_CAST(x AS TIME) END;

CREATE TEMP MACRO x_cast_time
  (x TIME) AS x,
  (x TIMESTAMP) AS CAST(x AS TIME),
  (x TIMESTAMPTZ) AS CAST(CAST(x AS TIMESTAMP) AS TIME),
  (x VARCHAR) AS CASE WHEN x IS NOT NULL AND x_safe_cast_time(x) IS NULL THEN error('Invalid time string "' || x || '"') ELSE x_safe_cast_time(x) END;

CREATE TEMP MACRO x_cast_bytes
  (x BLOB) AS x,
  (x VARCHAR) AS encode(x);

CREATE TEMP MACRO x_safe_cast_bytes
  (x BLOB) AS x,
  (x VARCHAR) AS encode(x);

-- Aggregates: what is put around DuckDB's own --------------------------------------------

CREATE TEMP MACRO x_sum_result
  (x HUGEINT) AS CAST(x AS BIGINT),
  (x DECIMAL(38, 9)) AS x,
  (x DOUBLE) AS x;

CREATE TEMP MACRO x_float_input
  (x DECIMAL(38, 9)) AS CAST(error('UNSUPPORTED: AVG and variances of NUMERIC; cast to FLOAT64') AS DOUBLE),
  (x BIGINT) AS CAST(x AS DOUBLE),
  (x DOUBLE) AS x;

-- Conditions -----------------------------------------------------------------------------

CREATE TEMP MACRO gs_ifnull(a, b) AS coalesce(a, b);

CREATE TEMP MACRO gs_nullif(a, b) AS nullif(a, b);

CREATE TEMP MACRO gs_error(x) AS error(x);

-- Mathematics ----------------------------------------------------------------------------

CREATE TEMP MACRO gs_abs(x) AS abs(x);

CREATE TEMP MACRO gs_sign
  (x BIGINT) AS CAST(sign(x) AS BIGINT),
  (x DOUBLE) AS CAST(sign(x) AS DOUBLE),
  (x DECIMAL(38, 9)) AS CAST(sign(x) AS DECIMAL(38, 9));

CREATE TEMP MACRO gs_round
  (x DECIMAL(38, 9)) AS CAST(round(x, 0) AS DECIMAL(38, 9)),
  (x DOUBLE) AS round(x),
  (x DOUBLE, n BIGINT) AS round(x, CAST(n AS INTEGER)),
  (x DECIMAL(38, 9), n BIGINT) AS CAST(error('UNSUPPORTED: ROUND of NUMERIC to digits') AS DECIMAL(38, 9));

CREATE TEMP MACRO gs_trunc
  (x DECIMAL(38, 9)) AS CAST(trunc(x) AS DECIMAL(38, 9)),
  (x DOUBLE) AS trunc(x);

CREATE TEMP MACRO gs_ceil
  (x DECIMAL(38, 9)) AS CAST(ceil(x) AS DECIMAL(38, 9)),
  (x DOUBLE) AS ceil(x);

CREATE TEMP MACRO gs_ceiling
  (x DECIMAL(38, 9)) AS gs_ceil(x),
  (x DOUBLE) AS gs_ceil(x);

CREATE TEMP MACRO gs_floor
  (x DECIMAL(38, 9)) AS CAST(floor(x) AS DECIMAL(38, 9)),
  (x DOUBLE) AS floor(x);

CREATE TEMP MACRO x_safe_sqrt(x DOUBLE) AS CASE WHEN x >= 0 THEN sqrt(x) END;

CREATE TEMP MACRO gs_sqrt(x DOUBLE) AS CASE WHEN x < 0 THEN error('Argument to SQRT cannot be negative: ' || x_float_string(x)) ELSE sqrt(x) END;

CREATE TEMP MACRO x_safe_ln(x DOUBLE) AS CASE WHEN x > 0 THEN ln(x) END;

CREATE TEMP MACRO gs_ln(x DOUBLE) AS CASE WHEN x <= 0 THEN error('LN is undefined for ' || x_float_string(x)) ELSE ln(x) END;

CREATE TEMP MACRO x_safe_log
  (x DOUBLE) AS x_safe_ln(x),
  (x DOUBLE, base DOUBLE) AS CASE WHEN x > 0 AND base > 0 AND base <> 1 THEN ln(x) / ln(base) END;

CREATE TEMP MACRO gs_log
  (x DOUBLE) AS gs_ln(x),
  (x DOUBLE, base DOUBLE) AS CASE WHEN x <= 0 OR base <= 0 OR base = 1 THEN error('LOG is undefined for ' || x_float_string(x) || ' to the base ' || x_float_string(base)) ELSE ln(x) / ln(base) END;

CREATE TEMP MACRO x_safe_log10(x DOUBLE) AS CASE WHEN x > 0 THEN log10(x) END;

CREATE TEMP MACRO gs_log10(x DOUBLE) AS CASE WHEN x <= 0 THEN error('LOG10 is undefined for ' || x_float_string(x)) ELSE log10(x) END;

CREATE TEMP MACRO x_safe_exp(x DOUBLE) AS CASE WHEN isfinite(exp(x)) OR NOT isfinite(x) THEN exp(x) END;

CREATE TEMP MACRO gs_exp(x DOUBLE) AS CASE WHEN isfinite(x) AND NOT isfinite(exp(x)) THEN error('Floating point overflow in function: EXP(' || x_float_string(x) || ')') ELSE exp(x) END;

CREATE TEMP MACRO x_safe_pow(x DOUBLE, y DOUBLE) AS CASE WHEN isfinite(pow(x, y)) OR NOT isfinite(x) OR NOT isfinite(y) THEN pow(x, y) END;

CREATE TEMP MACRO gs_pow(x DOUBLE, y DOUBLE) AS CASE WHEN isfinite(x) AND isfinite(y) AND NOT isfinite(pow(x, y)) THEN error('Floating point error in function: POW(' || x_float_string(x) || ', ' || x_float_string(y) || ')') ELSE pow(x, y) END;

CREATE TEMP MACRO gs_power(x DOUBLE, y DOUBLE) AS gs_pow(x, y);

CREATE TEMP MACRO gs_mod(a BIGINT, b BIGINT) AS CASE WHEN b = 0 THEN error('division by zero: MOD(' || a || ', 0)') ELSE a % CASE WHEN b = 0 THEN NULL ELSE b END END;

CREATE TEMP MACRO gs_div(a BIGINT, b BIGINT) AS CASE WHEN b = 0 THEN error('division by zero: DIV(' || a || ', 0)') ELSE (a - a % CASE WHEN b = 0 THEN NULL ELSE b END) // CASE WHEN b = 0 THEN NULL ELSE b END END;

CREATE TEMP MACRO gs_safe_divide(a DOUBLE, b DOUBLE) AS CASE WHEN b <> 0 THEN a / b END;

CREATE TEMP MACRO gs_is_nan(x DOUBLE) AS isnan(x);

CREATE TEMP MACRO gs_is_inf(x DOUBLE) AS isinf(x);

CREATE TEMP MACRO gs_rand() AS random();

CREATE TEMP MACRO gs_generate_uuid() AS CAST(uuid() AS VARCHAR);

CREATE TEMP MACRO gs_generate_array
  (a BIGINT, b BIGINT) AS CASE WHEN a IS NOT NULL AND b IS NOT NULL THEN generate_series(a, b) END,
  (a BIGINT, b BIGINT, step BIGINT) AS CASE WHEN step = 0 THEN error('Sequence step cannot be 0.') WHEN a IS NOT NULL AND b IS NOT NULL AND step IS NOT NULL THEN generate_series(a, b, CASE WHEN step = 0 THEN NULL ELSE step END) END;

-- Strings --------------------------------------------------------------------------------

-- DuckDB maps one code point to one; Unicode's full mapping (ß to SS) is Python's.
CREATE TEMP MACRO gs_lower(x VARCHAR) AS CASE WHEN strlen(x) = length(x) THEN lower(x) ELSE py_lower(x) END;

CREATE TEMP MACRO gs_upper(x VARCHAR) AS CASE WHEN strlen(x) = length(x) THEN upper(x) ELSE py_upper(x) END;

CREATE TEMP MACRO gs_length
  (x VARCHAR) AS length(x),
  (x BLOB) AS octet_length(x);

CREATE TEMP MACRO gs_char_length(x VARCHAR) AS length(x);

CREATE TEMP MACRO gs_byte_length
  (x VARCHAR) AS strlen(x),
  (x BLOB) AS octet_length(x);

-- The characters that Unicode calls white space.
CREATE TEMP MACRO x_blanks() AS ' ' || chr(9) || chr(10) || chr(11) || chr(12) || chr(13) || chr(133) || chr(160) || chr(5760) || chr(8192) || chr(8193) || chr(8194) || chr(8195) || chr(8196) || chr(8197) || chr(8198) || chr(8199) || chr(8200) || chr(8201) || chr(8202) || chr(8232) || chr(8233) || chr(8239) || chr(8287) || chr(12288);

-- A text that begins and ends with a visible ASCII character has nothing to trim; to look is
-- several times faster than to compare with every blank that Unicode has.
CREATE TEMP MACRO gs_trim
  (x VARCHAR) AS CASE
    WHEN unicode(x) BETWEEN 33 AND 126 AND unicode(right(x, 1)) BETWEEN 33 AND 126 THEN x
    ELSE trim(x, x_blanks()) END,
  (x VARCHAR, set VARCHAR) AS trim(x, set);

CREATE TEMP MACRO gs_ltrim
  (x VARCHAR) AS ltrim(x, x_blanks()),
  (x VARCHAR, set VARCHAR) AS ltrim(x, set);

CREATE TEMP MACRO gs_rtrim
  (x VARCHAR) AS rtrim(x, x_blanks()),
  (x VARCHAR, set VARCHAR) AS rtrim(x, set);

CREATE TEMP MACRO gs_substr
  (x VARCHAR, p BIGINT) AS substr(x, CASE WHEN p = 0 OR p < -length(x) THEN 1 ELSE p END),
  (x VARCHAR, p BIGINT, n BIGINT) AS CASE WHEN n < 0 THEN error('Third argument in SUBSTR() cannot be negative') ELSE substr(x, CASE WHEN p = 0 OR p < -length(x) THEN 1 ELSE p END, n) END;

CREATE TEMP MACRO gs_substring
  (x VARCHAR, p BIGINT) AS gs_substr(x, p),
  (x VARCHAR, p BIGINT, n BIGINT) AS gs_substr(x, p, n);

CREATE TEMP MACRO gs_left(x VARCHAR, n BIGINT) AS CASE WHEN n < 0 THEN error('Second argument in LEFT() cannot be negative') ELSE left(x, n) END;

CREATE TEMP MACRO gs_right(x VARCHAR, n BIGINT) AS CASE WHEN n < 0 THEN error('Second argument in RIGHT() cannot be negative') ELSE right(x, n) END;

CREATE TEMP MACRO gs_lpad
  (x VARCHAR, n BIGINT) AS CASE WHEN n < 0 THEN error('Second argument in LPAD() cannot be negative') ELSE lpad(x, CAST(n AS INTEGER), ' ') END,
  (x VARCHAR, n BIGINT, pad VARCHAR) AS CASE WHEN n < 0 THEN error('Second argument in LPAD() cannot be negative') ELSE lpad(x, CAST(n AS INTEGER), pad) END;

CREATE TEMP MACRO gs_rpad
  (x VARCHAR, n BIGINT) AS CASE WHEN n < 0 THEN error('Second argument in RPAD() cannot be negative') ELSE rpad(x, CAST(n AS INTEGER), ' ') END,
  (x VARCHAR, n BIGINT, pad VARCHAR) AS CASE WHEN n < 0 THEN error('Second argument in RPAD() cannot be negative') ELSE rpad(x, CAST(n AS INTEGER), pad) END;

CREATE TEMP MACRO gs_repeat(x VARCHAR, n BIGINT) AS CASE WHEN n < 0 THEN error('Second argument in REPEAT() cannot be negative') ELSE repeat(x, n) END;

CREATE TEMP MACRO gs_replace(x VARCHAR, a VARCHAR, b VARCHAR) AS replace(x, a, b);

CREATE TEMP MACRO gs_starts_with(x VARCHAR, prefix VARCHAR) AS starts_with(x, prefix);

CREATE TEMP MACRO gs_ends_with(x VARCHAR, suffix VARCHAR) AS ends_with(x, suffix);

CREATE TEMP MACRO gs_split
  (x VARCHAR) AS string_split(x, ','),
  (x VARCHAR, separator VARCHAR) AS CASE WHEN separator = '' THEN error('UNSUPPORTED: SPLIT at an empty separator') ELSE string_split(x, separator) END;

CREATE TEMP MACRO gs_regexp_contains(x VARCHAR, pattern VARCHAR) AS regexp_matches(x, pattern);

CREATE TEMP MACRO gs_regexp_replace(x VARCHAR, pattern VARCHAR, replacement VARCHAR) AS regexp_replace(x, pattern, replacement, 'g');

CREATE TEMP MACRO gs_to_hex(x BLOB) AS lower(hex(x));

CREATE TEMP MACRO gs_from_hex(x VARCHAR) AS unhex(x);

CREATE TEMP MACRO gs_to_base64(x BLOB) AS to_base64(x);

CREATE TEMP MACRO gs_from_base64(x VARCHAR) AS from_base64(x);

CREATE TEMP MACRO gs_md5
  (x VARCHAR) AS unhex(md5(x)),
  (x BLOB) AS unhex(md5(x));

CREATE TEMP MACRO gs_sha1
  (x VARCHAR) AS unhex(sha1(x)),
  (x BLOB) AS unhex(sha1(x));

CREATE TEMP MACRO gs_sha256
  (x VARCHAR) AS unhex(sha256(x)),
  (x BLOB) AS unhex(sha256(x));

CREATE TEMP MACRO x_json_text(x) AS CAST(to_json(x) AS VARCHAR);

-- Floats, times and integers beyond 2**53 are written differently by the two engines.
CREATE TEMP MACRO gs_to_json_string(x) AS
  CASE WHEN regexp_matches(typeof(x), 'DOUBLE|FLOAT|DECIMAL|HUGEINT|TIME|BLOB|JSON|INTERVAL') THEN error('UNSUPPORTED: TO_JSON_STRING of ' || typeof(x))
  WHEN typeof(x) <> 'VARCHAR' AND regexp_matches(x_json_text(x), '[0-9]{16}') THEN error('UNSUPPORTED: TO_JSON_STRING of an INT64 of 16 digits or more')
  WHEN x IS NULL THEN 'null' ELSE x_json_text(x) END;

-- Arrays ---------------------------------------------------------------------------------

CREATE TEMP MACRO gs_array_length(x) AS CAST(len(x) AS BIGINT);

CREATE TEMP MACRO gs_array_concat
  (a, b) AS a || b,
  (a, b, c) AS a || b || c;

CREATE TEMP MACRO gs_array_reverse(x) AS list_reverse(x);

-- Untyped: DuckDB wants the separator as a constant, which a typed parameter is not.
CREATE TEMP MACRO gs_array_to_string
  (x, separator) AS coalesce(array_to_string(x, separator), CASE WHEN x IS NOT NULL THEN '' END),
  (x, separator, missing) AS coalesce(array_to_string(list_transform(x, lambda e: coalesce(e, missing)), separator), CASE WHEN x IS NOT NULL THEN '' END);

-- Dates and times ------------------------------------------------------------------------

CREATE TEMP MACRO gs_date
  (x DATE) AS x,
  (x TIMESTAMP) AS CAST(x AS DATE),
  (x TIMESTAMPTZ) AS CAST(x AS DATE),
  (x TIMESTAMPTZ, zone VARCHAR) AS CAST(timezone(zone, x) AS DATE),
  (y BIGINT, m BIGINT, d BIGINT) AS make_date(y, m, d);

CREATE TEMP MACRO gs_timestamp
  (x TIMESTAMPTZ) AS x,
  (x TIMESTAMP) AS CAST(x AS TIMESTAMPTZ),
  (x DATE) AS CAST(x AS TIMESTAMPTZ),
  (x VARCHAR) AS x_cast_timestamp(x),
  (x TIMESTAMP, zone VARCHAR) AS timezone(zone, x);

CREATE TEMP MACRO gs_datetime
  (x TIMESTAMP) AS x,
  (x TIMESTAMPTZ) AS CAST(x AS TIMESTAMP),
  (x DATE) AS CAST(x AS TIMESTAMP),
  (x TIMESTAMPTZ, zone VARCHAR) AS timezone(zone, x),
  (y BIGINT, mo BIGINT, d BIGINT, h BIGINT, mi BIGINT, s BIGINT) AS make_timestamp(y, mo, d, h, mi, CAST(s AS DOUBLE));

CREATE TEMP MACRO gs_time
  (x TIMESTAMP) AS CAST(x AS TIME),
  (x TIMESTAMPTZ) AS CAST(CAST(x AS TIMESTAMP) AS TIME);

CREATE TEMP MACRO gs_current_date() AS current_date;

CREATE TEMP MACRO gs_current_timestamp() AS now();

CREATE TEMP MACRO gs_current_datetime() AS CAST(now() AS TIMESTAMP);

CREATE TEMP MACRO gs_date_add(x DATE, amount INTERVAL) AS CAST(x + amount AS DATE);

CREATE TEMP MACRO gs_date_sub(x DATE, amount INTERVAL) AS CAST(x - amount AS DATE);

CREATE TEMP MACRO gs_timestamp_add(x TIMESTAMPTZ, amount INTERVAL) AS x + amount;

CREATE TEMP MACRO gs_timestamp_sub(x TIMESTAMPTZ, amount INTERVAL) AS x - amount;

CREATE TEMP MACRO gs_datetime_add(x TIMESTAMP, amount INTERVAL) AS x + amount;

CREATE TEMP MACRO gs_datetime_sub(x TIMESTAMP, amount INTERVAL) AS x - amount;

-- `first` is the week's first day: 0 for Sunday to 6 for Saturday.
CREATE TEMP MACRO x_week_start(x DATE, first BIGINT) AS x - CAST((dayofweek(x) - first + 7) % 7 AS INTEGER);

CREATE TEMP MACRO x_date_diff_day(a DATE, b DATE) AS CAST(a - b AS BIGINT);

CREATE TEMP MACRO x_date_diff_week(a DATE, b DATE, first BIGINT) AS CAST(x_week_start(a, first) - x_week_start(b, first) AS BIGINT) // 7;

CREATE TEMP MACRO x_date_diff_month(a DATE, b DATE) AS (year(a) - year(b)) * 12 + month(a) - month(b);

CREATE TEMP MACRO x_date_diff_quarter(a DATE, b DATE) AS (year(a) - year(b)) * 4 + quarter(a) - quarter(b);

CREATE TEMP MACRO x_date_diff_year(a DATE, b DATE) AS year(a) - year(b);

-- Whole units, towards zero: BigQuery counts elapsed time here and boundaries elsewhere.
CREATE TEMP MACRO x_timestamp_diff(a TIMESTAMPTZ, b TIMESTAMPTZ, unit BIGINT) AS
  ((epoch_us(a) - epoch_us(b)) - (epoch_us(a) - epoch_us(b)) % unit) // unit;

CREATE TEMP MACRO x_datetime_diff(a TIMESTAMP, b TIMESTAMP, unit VARCHAR) AS date_diff(unit, b, a);

CREATE TEMP MACRO x_date_trunc
  (x DATE, unit VARCHAR) AS CAST(date_trunc(unit, x) AS DATE),
  (x TIMESTAMP, unit VARCHAR) AS date_trunc(unit, x),
  (x TIMESTAMPTZ, unit VARCHAR) AS date_trunc(unit, x);

CREATE TEMP MACRO x_date_trunc_week
  (x DATE, first BIGINT) AS x_week_start(x, first),
  (x TIMESTAMP, first BIGINT) AS CAST(x_week_start(CAST(x AS DATE), first) AS TIMESTAMP),
  (x TIMESTAMPTZ, first BIGINT) AS CAST(x_week_start(CAST(x AS DATE), first) AS TIMESTAMPTZ);

CREATE TEMP MACRO gs_last_day(x DATE) AS last_day(x);

CREATE TEMP MACRO x_extract_year(x) AS year(x);

CREATE TEMP MACRO x_extract_isoyear(x) AS isoyear(x);

CREATE TEMP MACRO x_extract_quarter(x) AS quarter(x);

CREATE TEMP MACRO x_extract_month(x) AS month(x);

CREATE TEMP MACRO x_extract_isoweek(x) AS week(x);

-- Weeks begin on Sunday; the days before the year's first Sunday are week 0.
CREATE TEMP MACRO x_extract_week(x) AS (dayofyear(x) + 6 - dayofweek(x)) // 7;

CREATE TEMP MACRO x_extract_day(x) AS day(x);

CREATE TEMP MACRO x_extract_dayofyear(x) AS dayofyear(x);

CREATE TEMP MACRO x_extract_dayofweek(x) AS dayofweek(x) + 1;

CREATE TEMP MACRO x_extract_hour(x) AS hour(x);

CREATE TEMP MACRO x_extract_minute(x) AS minute(x);

CREATE TEMP MACRO x_extract_second(x) AS second(x);

CREATE TEMP MACRO x_extract_millisecond(x) AS millisecond(x) % 1000;

CREATE TEMP MACRO x_extract_microsecond(x) AS microsecond(x) % 1000000;

CREATE TEMP MACRO x_extract_date
  (x TIMESTAMP) AS CAST(x AS DATE),
  (x TIMESTAMPTZ) AS CAST(x AS DATE);

CREATE TEMP MACRO x_extract_time
  (x TIMESTAMP) AS CAST(x AS TIME),
  (x TIMESTAMPTZ) AS CAST(CAST(x AS TIMESTAMP) AS TIME);

CREATE TEMP MACRO gs_unix_seconds(x TIMESTAMPTZ) AS (epoch_us(x) - (epoch_us(x) % 1000000 + 1000000) % 1000000) // 1000000;

CREATE TEMP MACRO gs_unix_millis(x TIMESTAMPTZ) AS (epoch_us(x) - (epoch_us(x) % 1000 + 1000) % 1000) // 1000;

CREATE TEMP MACRO gs_unix_micros(x TIMESTAMPTZ) AS epoch_us(x);

CREATE TEMP MACRO gs_unix_date(x DATE) AS CAST(x - DATE '1970-01-01' AS BIGINT);

CREATE TEMP MACRO gs_date_from_unix_date(x BIGINT) AS DATE '1970-01-01' + CAST(x AS INTEGER);

CREATE TEMP MACRO gs_timestamp_seconds(x BIGINT) AS CAST(make_timestamp(x * 1000000) AS TIMESTAMPTZ);

CREATE TEMP MACRO gs_timestamp_millis(x BIGINT) AS CAST(make_timestamp(x * 1000) AS TIMESTAMPTZ);

CREATE TEMP MACRO gs_timestamp_micros(x BIGINT) AS CAST(make_timestamp(x) AS TIMESTAMPTZ);

-- What FORMAT_DATE and its like accept; the format itself must be a constant.
CREATE TEMP MACRO x_formatted_date(x DATE) AS x;

CREATE TEMP MACRO x_formatted_datetime(x TIMESTAMP) AS x;

CREATE TEMP MACRO x_formatted_timestamp
  (x TIMESTAMPTZ) AS CAST(x AS TIMESTAMP),
  (x TIMESTAMPTZ, zone VARCHAR) AS timezone(zone, x);

{#
  How the models stay incremental. Each reads its own highest load_id, then the days that rows above
  it touch, by small queries; both go into its SQL as literals, a UNION ALL branch a day, because
  only then does the warehouse skip the rest of the history.

  Limits, all without effect on the result, variables for tests: up to 100 days there is a branch a day, above that one
  branch from the first day to the last. Staging looks for neighbours of each of up to 4000 touched
  (symbol, day) ranges within 100 days; above that it reads every day from the first neighbour to the last.
  A model whose table is empty takes the SQL of a full refresh.
#}

{% macro most_branches() -%}{{ return(var('most_branches', 100) | int) }}{%- endmacro %}
{% macro most_ranges() -%}{{ return(var('most_ranges', 4000) | int) }}{%- endmacro %}

{# The first column of a query's answer, as a list; empty while dbt only parses. #}
{% macro text_column(sql) -%}
  {%- set found = [] -%}
  {%- if execute -%}
    {%- for row in run_query(sql).rows -%}
      {%- do found.append(row[0]) -%}
    {%- endfor -%}
  {%- endif -%}
  {{ return(found) }}
{%- endmacro %}

{# The model's own highest load_id; none where it must be built from everything. #}
{% macro watermark() -%}
  {%- if execute and is_incremental() -%}
    {%- for row in run_query('select load_id from ' ~ this ~ ' order by load_id desc limit 1').rows -%}
      {{ return(row[0] | int) }}
    {%- endfor -%}
  {%- endif -%}
  {{ return(none) }}
{%- endmacro %}

{# The days of a relation's rows above a load, in order. #}
{% macro days_above(relation, load_id) -%}
  {{ return(text_column('select distinct cast(price_date as varchar) as day from ' ~ relation
                        ~ ' where load_id > ' ~ load_id ~ ' order by 1')) }}
{%- endmacro %}

{# Columns of the rows of some days; `within` may add a condition for a day, by its name. #}
{% macro rows_of_days(relation, days, columns, condition='1 = 1', within={}) -%}
  {%- if days | length == 0 %}
  select {{ columns }} from {{ relation }} where 1 = 0
  {%- elif days | length > most_branches() %}
  select {{ columns }} from {{ relation }}
  where price_date between date '{{ days[0] }}' and date '{{ days[-1] }}' and {{ condition }}
  {%- else %}
  {%- for day in days %}
  {%- if not loop.first %}
  union all
  {%- endif %}
  select {{ columns }} from {{ relation }}
  where price_date = date '{{ day }}' and {{ condition }}{{ within.get(day, '') }}
  {%- endfor %}
  {%- endif %}
{%- endmacro %}

{#
  The days that staging must read to see, for each symbol, the valid rows next to the ranges that the
  new rows touch: the touched days, and where a symbol has no earlier (later) row on one, the nearest
  earlier (later) day that has. Looked for ten days far, then everywhere.
#}
{% macro days_with_neighbours(raw, watermark) -%}
  {%- set days = days_above(raw, watermark) -%}
  {%- if days | length == 0 -%}
    {{ return([]) }}
  {%- endif -%}
  {%- if days | length > most_branches() -%}
    {{ return(days_from_neighbour_to_neighbour(raw, watermark, days)) }}
  {%- endif -%}
  {%- set alone %}
    with ranges as (
      select symbol, price_date, min(timestamp) as first_new, max(timestamp) as last_new
      from {{ raw }} where load_id > {{ watermark }} group by symbol, price_date
    ), stored as (
      {{- rows_of_days(this, days, 'symbol, price_date, timestamp', 'is_valid') }}
    ), sides as (
      select ranges.symbol, ranges.price_date,
        max(case when stored.timestamp < first_new then 1 else 0 end) as has_earlier,
        max(case when stored.timestamp > last_new then 1 else 0 end) as has_later
      from ranges
      left join stored on stored.symbol = ranges.symbol and stored.price_date = ranges.price_date
      group by ranges.symbol, ranges.price_date
    )
    select symbol, cast(price_date as varchar) as day, has_earlier, has_later,
      (select count(*) from ranges) as ranges
    from sides where has_earlier = 0 or has_later = 0
  {%- endset -%}
  {%- set earlier = {} -%}
  {%- set later = {} -%}
  {%- for row in run_query(alone).rows -%}
    {%- if row[4] | int > most_ranges() -%}
      {{ return(days_from_neighbour_to_neighbour(raw, watermark, days)) }}
    {%- endif -%}
    {%- if row[2] | int == 0 -%}
      {%- do earlier.update({row[1]: earlier.get(row[1], []) + [row[0]]}) -%}
    {%- endif -%}
    {%- if row[3] | int == 0 -%}
      {%- do later.update({row[1]: later.get(row[1], []) + [row[0]]}) -%}
    {%- endif -%}
  {%- endfor -%}
  {%- set found = nearest_days(earlier, later, 10) -%}
  {%- set more = nearest_days(found.earlier, found.later, none) -%}
  {{ return((days + found.days + more.days) | unique | sort | list) }}
{%- endmacro %}

{#
  Every day with stored rows from the earliest to the latest that a touched symbol has next to the touched
  days, these included: more than is needed, found by few queries.
#}
{% macro days_from_neighbour_to_neighbour(raw, watermark, days) -%}
  {%- set symbols = 'select distinct symbol from ' ~ raw ~ ' where load_id > ' ~ watermark -%}
  {%- set ends = [] -%}
  {%- for day, beyond, near, nearest, farthest in [(days[0], '<', '>= date \'' ~ days[0] ~ '\' - 10', 'max', 'min'),
                                                  (days[-1], '>', '<= date \'' ~ days[-1] ~ '\' + 10', 'min', 'max')] -%}
    {%- set found = [] -%}
    {%- for limit in [' and price_date ' ~ near, ''] if found | length == 0 -%}
      {%- set row = run_query('select cast(' ~ farthest ~ '(day) as varchar), count(*), (select count(*) from ('
            ~ symbols ~ ') as symbols) from (select ' ~ nearest ~ '(price_date) as day from ' ~ this
            ~ ' where is_valid and price_date ' ~ beyond ~ " date '" ~ day ~ "'" ~ limit ~ ' and symbol in ('
            ~ symbols ~ ') group by symbol) as days').rows[0] -%}
      {%- if not limit or row[1] | int == row[2] | int -%}
        {%- do found.append(row[0] or day) -%}
      {%- endif -%}
    {%- endfor -%}
    {%- do ends.append(found[0]) -%}
  {%- endfor -%}
  {%- set stored = text_column('select distinct cast(price_date as varchar) as day from ' ~ this
        ~ " where price_date between date '" ~ ends[0] ~ "' and date '" ~ ends[1] ~ "'") -%}
  {{ return((days + stored) | unique | sort | list) }}
{%- endmacro %}

{#
  A day from which on a relation has, for each touched symbol, the `rows` rows before the first touched
  day, or all there are: `reach` days before it. None where one has fewer there, and more further back.
#}
{% macro first_day_needed(relation, touched, first_day, rows, reach) -%}
  {%- set from = "date '" ~ first_day ~ "' - " ~ reach -%}
  {%- for row in run_query('select cast(' ~ from ~ ' as varchar), count(*) from (select symbol from ' ~ relation
        ~ " where price_date < date '" ~ first_day ~ "' and symbol in (select symbol from (" ~ touched
        ~ ') as touched) group by symbol having count(*) > count(case when price_date >= ' ~ from
        ~ ' then 1 end) and count(case when price_date >= ' ~ from ~ ' then 1 end) < ' ~ rows ~ ') as short').rows -%}
    {{ return(row[0] if row[1] | int == 0 else none) }}
  {%- endfor -%}
{%- endmacro %}

{#
  For symbols by day, the nearest earlier and later days with a valid stored row of the symbol, at
  most `reach` days away. Answers the days found, and what was looked for in vain.
#}
{% macro nearest_days(earlier, later, reach) -%}
  {%- set branches = [] -%}
  {%- for side, wanted in [('earlier', earlier), ('later', later)] -%}
    {%- for day, symbols in wanted.items() -%}
      {%- set sign, most = ('<', 'max') if side == 'earlier' else ('>', 'min') -%}
      {%- set limit = '' -%}
      {%- if reach is not none -%}
        {%- set limit = " and price_date " ~ ('>=' if side == 'earlier' else '<=') ~ " date '" ~ day ~ "' "
                        ~ ('-' if side == 'earlier' else '+') ~ ' ' ~ reach -%}
      {%- endif -%}
      {%- do branches.append("select '" ~ side ~ "' as side, '" ~ day ~ "' as day, symbol, cast(" ~ most
            ~ "(price_date) as varchar) as found from " ~ this ~ " where is_valid and price_date " ~ sign
            ~ " date '" ~ day ~ "'" ~ limit ~ " and symbol in ('" ~ symbols | join("', '") ~ "') group by symbol") -%}
    {%- endfor -%}
  {%- endfor -%}
  {%- set left = {'days': [], 'earlier': {}, 'later': {}} -%}
  {%- if branches | length == 0 -%}
    {{ return(left) }}
  {%- endif -%}
  {%- set seen = {} -%}
  {%- for row in run_query(branches | join('\nunion all\n')).rows -%}
    {%- do seen.update({row[0] ~ row[1] ~ row[2]: true}) -%}
    {%- do left.days.append(row[3]) -%}
  {%- endfor -%}
  {%- for side, wanted in [('earlier', earlier), ('later', later)] -%}
    {%- for day, symbols in wanted.items() -%}
      {%- for symbol in symbols if side ~ day ~ symbol not in seen -%}
        {%- do left[side].update({day: left[side].get(day, []) + [symbol]}) -%}
      {%- endfor -%}
    {%- endfor -%}
  {%- endfor -%}
  {{ return(left) }}
{%- endmacro %}

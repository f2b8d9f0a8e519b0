{#
  How the models stay incremental. Each reads its own highest load_id, then the days that rows above
  it touch, by small queries; both go into its SQL as literals, a UNION ALL branch a day, because
  only then does the warehouse skip the rest of the history.

  Limits, all without effect on the result: up to 100 days there is a branch a day, above that one
  branch from the first day to the last. Staging looks for neighbours of up to 4000 touched
  (symbol, day) ranges within 100 days; above that it compares with all stored rows of the symbols.
  A model whose table is empty takes the SQL of a full refresh.
#}

{% macro most_branches() -%}{{ return(100) }}{%- endmacro %}
{% macro most_ranges() -%}{{ return(4000) }}{%- endmacro %}

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
  earlier (later) day that has. Looked for ten days far, then everywhere. None: read without days.
#}
{% macro days_with_neighbours(raw, watermark) -%}
  {%- set days = days_above(raw, watermark) -%}
  {%- if days | length == 0 -%}
    {{ return([]) }}
  {%- endif -%}
  {%- if days | length > most_branches() -%}
    {{ return(none) }}
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
      {{ return(none) }}
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

{#
  Strategy touched_days: the batch replaces the rows that have its keys. The delete carries the
  batch's days as literals, so that it reads those days and not the table. A batch of more than
  400 days carries its first and last day instead.
#}
{% macro get_incremental_touched_days_sql(arg_dict) -%}
  {{ return(adapter.dispatch('touched_days_sql')(arg_dict)) }}
{%- endmacro %}

{% macro default__touched_days_sql(arg_dict) -%}
  {%- set target = arg_dict['target_relation'] -%}
  {%- set batch = arg_dict['temp_relation'] -%}
  {%- set columns = arg_dict['dest_columns'] | map(attribute='name') | join(', ') -%}
  {%- set days = text_column('select distinct cast(price_date as varchar) as day from ' ~ batch ~ ' order by 1') -%}
  delete from {{ target }} as kept
  using {{ batch }} as batch
  where {% for column in arg_dict['unique_key'] -%}
    kept.{{ column }} = batch.{{ column }} and {% endfor -%}
    {{ on_days('kept.price_date', days, 400) }};

  insert into {{ target }} ({{ columns }})
  select {{ columns }} from {{ batch }};
{%- endmacro %}

{% macro snowflake__touched_days_sql(arg_dict) -%}
  begin;
  {{ default__touched_days_sql(arg_dict) }}
  commit;
{%- endmacro %}

{# True on the listed days, as literals; on all from the first to the last if there are more than `most`. #}
{% macro on_days(column, days, most) -%}
  {%- if days | length == 0 -%}
    1 = 0
  {%- elif days | length > most -%}
    {{ column }} between date '{{ days[0] }}' and date '{{ days[-1] }}'
  {%- else -%}
    {{ column }} in (date '{{ days | join("', date '") }}')
  {%- endif -%}
{%- endmacro %}

{#
  What a data test looks at: the days of the raw rows above the variable touched_after_load_id, as
  literals; everything where the variable is not given. Who knows these days gives them as touched_days,
  so that not every test asks for them.
#}
{% macro touched(column='price_date') -%}
  {%- set after = var('touched_after_load_id', none) -%}
  {%- if after is none or not execute -%}
    {{ return('1 = 1') }}
  {%- endif -%}
  {%- set days = var('touched_days', none) -%}
  {%- if days is none -%}
    {%- set days = days_above(source('raw_stocks', 'stock_prices'), after | int) -%}
  {%- endif -%}
  {{ return(on_days(column, days, 400)) }}
{%- endmacro %}

{# As dbt's own, but `__touched__` in a test's `where` stands for the touched days. #}
{% macro get_where_subquery(relation) -%}
  {%- set where = config.get('where', '') -%}
  {%- if where -%}
    {{ return('(select * from ' ~ relation ~ ' where ' ~ where.replace('__touched__', touched()) ~ ') dbt_subquery') }}
  {%- endif -%}
  {{ return(relation) }}
{%- endmacro %}

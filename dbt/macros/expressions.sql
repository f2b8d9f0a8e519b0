{# By how many percent `now` differs from `before`; null where either is, or where `before` is 0.
   Subtracted before it becomes a double, so that no digit is lost. #}
{% macro percent_change(now, before) -%}
  cast({{ now }} - {{ before }} as double) / nullif(cast({{ before }} as double), 0) * 100
{%- endmacro %}

{# A sum of share counts, held at what bigint can hold: one absurd message must not stop a model. #}
{% macro total_volume(column) -%}
  cast(case when sum({{ column }}) > 9223372036854775807 then 9223372036854775807
            else sum({{ column }}) end as bigint)
{%- endmacro %}

{# Where a message came from, as far as volumes must not be added up: finnhub-ws and finnhub are one. #}
{% macro origin_source(data_source) -%}
  split_part({{ data_source }}, '-', 1)
{%- endmacro %}

{# The symbol's last `rows` daily rows, today's included. #}
{% macro last_rows(rows) -%}
  over (partition by symbol order by price_date rows between {{ rows - 1 }} preceding and current row)
{%- endmacro %}

{# An aggregate of the symbol's last `rows` daily rows, today's included; with `before`, of the `rows`
   before today. A window over the days, or, where `joined`, an aggregate of rows that know their age. #}
{% macro of_last(rows, aggregate, value, joined, before=0) -%}
  {%- if joined -%}
    {{ aggregate }}(case when age between {{ before }} and {{ rows - 1 + before }} then {{ value }} end)
  {%- elif before -%}
    {{ aggregate }}({{ value }}) over (
      partition by symbol order by price_date rows between {{ rows }} preceding and 1 preceding)
  {%- else -%}
    {{ aggregate }}({{ value }}) {{ last_rows(rows) }}
  {%- endif -%}
{%- endmacro %}

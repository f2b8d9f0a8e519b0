{#
  Days up to the cut of raw_stocks.retention have no raw and staging rows any more. A full refresh keeps
  what the model's table has of them: `kept_days` ends the full refresh's SELECT, with the rest from
  `columns` of the table as it is. `condition` is the word that joins it to that SELECT.

  Without a cut, or where the model has no table yet, it is nothing. Incremental runs need none of it:
  the loader takes no message of those days, so that they touch none. A column that is new in a model is
  not in its old table: give `columns` a value for it.
#}
{% macro kept_days(columns, condition='where') -%}
  {%- set retention = source('raw_stocks', 'retention') -%}
  {%- if not execute or load_relation(this) is none -%}
    {{ return('') }}
  {%- endif -%}
  {%- set cut = text_column('select cast(max(price_date) as varchar) as day from ' ~ retention
                            ~ ' having max(price_date) is not null') | first -%}
  {%- if not cut -%}
    {{ return('') }}
  {%- endif -%}
  {{ condition }} price_date > date '{{ cut }}'
union all
select {{ columns }} from {{ this }} where price_date <= date '{{ cut }}'
{%- endmacro %}

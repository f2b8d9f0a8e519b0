{# Incremental strategies on DuckDB. #}

{% macro duckdb__get_incremental_default_sql(arg_dict) %}
  {% do return(get_incremental_delete_insert_sql(arg_dict)) %}
{% endmacro %}

{% macro duckdb__get_delete_insert_merge_sql(target, source, unique_key, dest_columns, incremental_predicates) -%}
  {%- if unique_key is string %}
  delete from {{ target }}
  where ({{ unique_key }}) in (
    select ({{ unique_key }})
    from {{ source }}
  )
    {%- for predicate in incremental_predicates or [] %}
    and {{ predicate }}
    {%- endfor %};
  {%- elif unique_key %}
  delete from {{ target }} as DBT_INCREMENTAL_TARGET
  using {{ source }}
  where (
    {%- for key in unique_key %}
    {{ source }}.{{ key }} = DBT_INCREMENTAL_TARGET.{{ key }}
    {{ 'and' if not loop.last }}
    {%- endfor %}
    {%- for predicate in incremental_predicates or [] %}
    and {{ predicate }}
    {%- endfor %}
  );
  {%- endif %}

  {{ get_insert_into_sql(target, source, dest_columns) }}
{%- endmacro %}

{% macro duckdb__get_merge_sql(target, source, unique_key, dest_columns, incremental_predicates=none) -%}
  {%- set conditions = [] -%}
  {%- if not unique_key -%}
    {%- do conditions.append('FALSE') -%}
  {%- endif -%}
  {%- for key in ([unique_key] if unique_key is string else unique_key or []) -%}
    {%- do conditions.append('DBT_INTERNAL_SOURCE.' ~ key ~ ' = DBT_INTERNAL_DEST.' ~ key) -%}
  {%- endfor -%}
  {%- do conditions.extend(incremental_predicates or []) -%}
  {%- set chosen = config.get('merge_update_columns') or config.get('merge_exclude_columns') %}
  MERGE INTO {{ target }} AS DBT_INTERNAL_DEST
    USING {{ source }} AS DBT_INTERNAL_SOURCE
    ON ({{ conditions | join(') AND (') }})
    WHEN MATCHED THEN
    {%- if chosen %}
      UPDATE SET
      {%- for column in get_merge_update_columns(config.get('merge_update_columns'), config.get('merge_exclude_columns'), dest_columns) %}
        {{ column }} = DBT_INTERNAL_SOURCE.{{ column }}{{ ',' if not loop.last }}
      {%- endfor %}
    {%- else %}
      UPDATE BY NAME
    {%- endif %}
    WHEN NOT MATCHED THEN
      INSERT BY NAME
{%- endmacro %}

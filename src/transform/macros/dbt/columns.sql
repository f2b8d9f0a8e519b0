{# Columns of relations and of queries. #}

{% macro get_columns_in_relation(relation) -%}
  {{ return(adapter.dispatch('get_columns_in_relation', 'dbt')(relation)) }}
{%- endmacro %}

{% macro default__get_columns_in_relation(relation) -%}
  {{ exceptions.raise_not_implemented('get_columns_in_relation macro not implemented for adapter ' ~ adapter.type()) }}
{%- endmacro %}

{% macro sql_convert_columns_in_relation(table) -%}
  {% set columns = [] %}
  {% for row in table %}
    {% do columns.append(api.Column(row[0], row[1], row[2], row[3], row[4])) %}
  {% endfor %}
  {{ return(columns) }}
{%- endmacro %}

{% macro get_list_of_column_names(columns) -%}
  {{ return(columns | map(attribute='name') | list) }}
{%- endmacro %}

{% macro get_empty_subquery_sql(select_sql, select_sql_header=none) -%}
  {{ return(adapter.dispatch('get_empty_subquery_sql', 'dbt')(select_sql, select_sql_header)) }}
{%- endmacro %}

{% macro default__get_empty_subquery_sql(select_sql, select_sql_header=none) %}
  {{ select_sql_header if select_sql_header is not none }}
  select * from (
    {{ select_sql }}
  ) as __dbt_sbq
  where false
  limit 0
{% endmacro %}

{% macro get_columns_in_query(select_sql) -%}
  {{ return(adapter.dispatch('get_columns_in_query', 'dbt')(select_sql)) }}
{%- endmacro %}

{% macro default__get_columns_in_query(select_sql) %}
  {% call statement('get_columns_in_query', fetch_result=True, auto_begin=False) -%}
    {{ get_empty_subquery_sql(select_sql) }}
  {% endcall %}
  {{ return(load_result('get_columns_in_query').table.column_names | list) }}
{% endmacro %}

{% macro alter_relation_add_remove_columns(relation, add_columns=none, remove_columns=none) -%}
  {{ return(adapter.dispatch('alter_relation_add_remove_columns', 'dbt')(relation, add_columns, remove_columns)) }}
{%- endmacro %}

{% macro default__alter_relation_add_remove_columns(relation, add_columns, remove_columns) %}
  {% for column in add_columns or [] %}
    {% do run_query('alter ' ~ relation.type ~ ' ' ~ relation.render() ~ ' add column ' ~ column.quoted ~ ' ' ~ column.expanded_data_type) %}
  {% endfor %}
  {% for column in remove_columns or [] %}
    {% do run_query('alter ' ~ relation.type ~ ' ' ~ relation.render() ~ ' drop column ' ~ column.quoted) %}
  {% endfor %}
{% endmacro %}

{% macro alter_column_type(relation, column_name, new_column_type) -%}
  {{ return(adapter.dispatch('alter_column_type', 'dbt')(relation, column_name, new_column_type)) }}
{%- endmacro %}

{% macro default__alter_column_type(relation, column_name, new_column_type) -%}
  {% do run_query('alter table ' ~ relation.render() ~ ' alter column ' ~ adapter.quote(column_name) ~ ' type ' ~ new_column_type) %}
{%- endmacro %}

{# Names as a list of quoted identifiers. #}
{% macro get_quoted_csv(column_names) %}
  {% set quoted = [] %}
  {% for name in column_names %}
    {% do quoted.append(adapter.quote(name)) %}
  {% endfor %}
  {{ return(quoted | join(', ')) }}
{% endmacro %}

{# The columns of the first list whose names the second does not have. #}
{% macro diff_columns(source_columns, target_columns) %}
  {% set known = target_columns | map(attribute='column') | list %}
  {% set missing = [] %}
  {% for column in source_columns if column.name not in known %}
    {% do missing.append(column) %}
  {% endfor %}
  {{ return(missing) }}
{% endmacro %}

{% macro diff_column_data_types(source_columns, target_columns) %}
  {{ return(adapter.dispatch('diff_column_data_types', 'dbt')(source_columns, target_columns)) }}
{% endmacro %}

{% macro default__diff_column_data_types(source_columns, target_columns) %}
  {% set changed = [] %}
  {% for new in source_columns %}
    {% for old in target_columns if old.name == new.name %}
      {% if new.expanded_data_type != old.expanded_data_type and not new.can_expand_to(other_column=old) %}
        {% do changed.append({'column_name': old.name, 'new_type': new.expanded_data_type}) %}
      {% endif %}
    {% endfor %}
  {% endfor %}
  {{ return(changed) }}
{% endmacro %}

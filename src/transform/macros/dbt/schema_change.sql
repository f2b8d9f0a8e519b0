{# What an incremental model does when its columns are no longer its table's. #}

{% macro incremental_validate_on_schema_change(on_schema_change, default='ignore') %}
  {% if on_schema_change in ['ignore', 'fail', 'append_new_columns', 'sync_all_columns'] %}
    {{ return(on_schema_change) }}
  {% endif %}
  {% do log('Invalid value for on_schema_change (' ~ on_schema_change ~ ') specified. Setting default value of ' ~ default ~ '.') %}
  {{ return(default) }}
{% endmacro %}

{% macro check_for_schema_changes(source_relation, target_relation) %}
  {{ return(adapter.dispatch('check_for_schema_changes', 'dbt')(source_relation, target_relation)) }}
{% endmacro %}

{% macro default__check_for_schema_changes(source_relation, target_relation) %}
  {%- set new = adapter.get_columns_in_relation(source_relation) -%}
  {%- set old = adapter.get_columns_in_relation(target_relation) -%}
  {%- set added = diff_columns(new, old) -%}
  {%- set removed = diff_columns(old, new) -%}
  {%- set types = diff_column_data_types(new, old) -%}
  {{ return({'schema_changed': added != [] or removed != [] or types != [],
             'source_not_in_target': added,
             'target_not_in_source': removed,
             'source_columns': new,
             'target_columns': old,
             'new_target_types': types}) }}
{% endmacro %}

{% macro sync_column_schemas(on_schema_change, target_relation, schema_changes_dict) %}
  {{ return(adapter.dispatch('sync_column_schemas', 'dbt')(on_schema_change, target_relation, schema_changes_dict)) }}
{% endmacro %}

{% macro default__sync_column_schemas(on_schema_change, target_relation, schema_changes_dict) %}
  {%- set added = schema_changes_dict['source_not_in_target'] -%}
  {%- if on_schema_change == 'append_new_columns' -%}
    {%- if added -%}
      {%- do alter_relation_add_remove_columns(target_relation, added, none) -%}
    {%- endif -%}
  {%- elif on_schema_change == 'sync_all_columns' -%}
    {%- set removed = schema_changes_dict['target_not_in_source'] -%}
    {%- if added or removed -%}
      {%- do alter_relation_add_remove_columns(target_relation, added, removed) -%}
    {%- endif -%}
    {%- for change in schema_changes_dict['new_target_types'] -%}
      {%- do alter_column_type(target_relation, change['column_name'], change['new_type']) -%}
    {%- endfor -%}
  {%- endif -%}
{% endmacro %}

{# The columns to insert, or nothing where changes are ignored. #}
{% macro process_schema_changes(on_schema_change, source_relation, target_relation) %}
  {% if on_schema_change == 'ignore' %}
    {{ return({}) }}
  {% endif %}
  {% set changes = check_for_schema_changes(source_relation, target_relation) %}
  {% if changes['schema_changed'] %}
    {% if on_schema_change == 'fail' %}
      {% set message %}
              The source and target schemas on this incremental model are out of sync!
              Set `on_schema_change` to append_new_columns or sync_all_columns, run the model with
              --full-refresh, or change the table by hand.

              Source columns not in target: {{ changes['source_not_in_target'] }}
              Target columns not in source: {{ changes['target_not_in_source'] }}
              New column types: {{ changes['new_target_types'] }}
      {% endset %}
      {% do exceptions.raise_compiler_error(message) %}
    {% endif %}
    {% do sync_column_schemas(on_schema_change, target_relation, changes) %}
  {% endif %}
  {{ return(changes['source_columns']) }}
{% endmacro %}

{# An incremental model: the first run makes the table, later ones bring in what is new. #}

{%- materialization incremental, default -%}
  {%- set existing_relation = load_cached_relation(this) -%}
  {%- set target_relation = this.incorporate(type='table') -%}
  {%- set intermediate_relation = make_intermediate_relation(target_relation) -%}
  {%- set backup_relation = make_backup_relation(target_relation, 'table' if existing_relation is none else existing_relation.type) -%}
  {%- set temp_relation = make_temp_relation(target_relation) -%}

  {%- set full_refresh_mode = should_full_refresh() or existing_relation.is_view -%}
  {%- set on_schema_change = incremental_validate_on_schema_change(config.get('on_schema_change'), default='ignore') -%}
  {%- set to_drop = [] -%}
  {%- set need_swap = existing_relation is not none and full_refresh_mode -%}

  {{ drop_relation_if_exists(load_cached_relation(intermediate_relation)) }}
  {{ drop_relation_if_exists(load_cached_relation(backup_relation)) }}
  {{ run_hooks(pre_hooks, inside_transaction=False) }}
  {{ run_hooks(pre_hooks, inside_transaction=True) }}

  {% if existing_relation is none %}
    {% set build_sql = get_create_table_as_sql(False, target_relation, sql) %}
  {% elif need_swap %}
    {% set build_sql = get_create_table_as_sql(False, intermediate_relation, sql) %}
  {% else %}
    {% do run_query(get_create_table_as_sql(True, temp_relation, sql)) %}
    {% do adapter.expand_target_column_types(from_relation=temp_relation, to_relation=target_relation) %}
    {% set dest_columns = process_schema_changes(on_schema_change, temp_relation, existing_relation) %}
    {% if not dest_columns %}
      {% set dest_columns = adapter.get_columns_in_relation(existing_relation) %}
    {% endif %}
    {% set strategy = adapter.get_incremental_strategy_macro(context, config.get('incremental_strategy') or 'default') %}
    {% set build_sql = strategy({'target_relation': target_relation,
                                 'temp_relation': temp_relation,
                                 'unique_key': config.get('unique_key'),
                                 'dest_columns': dest_columns,
                                 'incremental_predicates': config.get('predicates', none) or config.get('incremental_predicates', none)}) %}
  {% endif %}

  {% call statement('main') %}
    {{- build_sql }}
  {% endcall %}

  {% if need_swap %}
    {% do drop_indexes_on_relation(target_relation) %}
    {% do adapter.rename_relation(target_relation, backup_relation) %}
    {% do adapter.rename_relation(intermediate_relation, target_relation) %}
    {% do to_drop.append(backup_relation) %}
  {% endif %}

  {% do apply_grants(target_relation, config.get('grants'), should_revoke=should_revoke(existing_relation, full_refresh_mode)) %}
  {% do persist_docs(target_relation, model) %}
  {% if existing_relation is none or need_swap %}
    {% do create_indexes(target_relation) %}
  {% endif %}
  {{ run_hooks(post_hooks, inside_transaction=True) }}
  {% do adapter.commit() %}

  {% for relation in to_drop %}
    {% do adapter.drop_relation(relation) %}
  {% endfor %}
  {{ run_hooks(post_hooks, inside_transaction=False) }}
  {{ return({'relations': [target_relation]}) }}
{%- endmaterialization -%}

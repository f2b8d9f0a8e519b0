{# DuckDB's way of what dbt leaves to adapters. #}

{% macro duckdb__create_schema(relation) -%}
  {%- call statement('create_schema') -%}
    create schema if not exists {{ relation.without_identifier() }}
  {%- endcall -%}
{%- endmacro %}

{% macro duckdb__drop_schema(relation) -%}
  {%- call statement('drop_schema') -%}
    drop schema if exists {{ relation.without_identifier() }} cascade
  {%- endcall -%}
{%- endmacro %}

{% macro duckdb__list_schemas(database) -%}
  {% set sql %}
    select distinct schema_name
    from duckdb_schemas()
    {% if database is not none %}where lower(database_name) = '{{ database | lower }}'{% endif %}
  {% endset %}
  {{ return(run_query(sql)) }}
{%- endmacro %}

{% macro duckdb__check_schema_exists(information_schema, schema) -%}
  {% set sql %}
    select count(*)
    from duckdb_schemas()
    where lower(schema_name) = '{{ schema | lower }}'
      and lower(database_name) = '{{ information_schema.database | lower }}'
  {% endset %}
  {{ return(run_query(sql)) }}
{%- endmacro %}

{% macro duckdb__list_relations_without_caching(schema_relation) %}
  {% call statement('list_relations_without_caching', fetch_result=True, auto_begin=False) -%}
    select
      '{{ schema_relation.database }}' as database, name, schema, type
    from (
      select table_name as name, schema_name as schema, database_name, 'table' as type from duckdb_tables()
      union all
      select view_name, schema_name, database_name, 'view' from duckdb_views() where not internal
    ) as relations
    where lower(schema) = '{{ schema_relation.schema | lower }}'
      and lower(database_name) = '{{ schema_relation.database | lower }}'
  {% endcall %}
  {{ return(load_result('list_relations_without_caching').table) }}
{% endmacro %}

{% macro duckdb__get_columns_in_relation(relation) -%}
  {% call statement('get_columns_in_relation', fetch_result=True) %}
    select column_name, column_type, null, null, null
    from (describe {{ relation.render() }})
  {% endcall %}
  {{ return(sql_convert_columns_in_relation(load_result('get_columns_in_relation').table)) }}
{% endmacro %}

{# dbt gives this macro two more arguments on DuckDB, for lakes; only none is there yet. #}
{% macro create_table_as(temporary, relation, compiled_code, language='sql', partitioned_by=none, sorted_by=none) -%}
  {{ return(adapter.dispatch('create_table_as', 'dbt')(temporary, relation, compiled_code, language,
                                                       partitioned_by=partitioned_by, sorted_by=sorted_by)) }}
{%- endmacro %}

{% macro duckdb__create_table_as(temporary, relation, compiled_code, language='sql', partitioned_by=none, sorted_by=none) -%}
  {%- if config.get('contract').enforced -%}
    {% do exceptions.raise_compiler_error('model contracts are not there yet') %}
  {%- endif -%}
  {%- set header = config.get('sql_header', none) -%}
  {{ header if header is not none }}
  create {{ 'temporary' if temporary }} table
    {{ relation.include(database=(not temporary), schema=(not temporary)) }}
  as (
    {{ compiled_code }}
  );
{%- endmacro %}

{% macro duckdb__create_view_as(relation, sql) -%}
  {%- if config.get('contract').enforced -%}
    {% do exceptions.raise_compiler_error('model contracts are not there yet') %}
  {%- endif -%}
  {%- set header = config.get('sql_header', none) -%}
  {{ header if header is not none }}
  create view {{ relation }} as (
    {{ sql }}
  );
{%- endmacro %}

{% macro duckdb__drop_relation(relation) -%}
  {% call statement('drop_relation', auto_begin=False) -%}
    drop {{ relation.type }} if exists {{ relation }} cascade
  {%- endcall %}
{%- endmacro %}

{% macro duckdb__rename_relation(from_relation, to_relation) -%}
  {% call statement('rename_relation') -%}
    alter {{ to_relation.type }} {{ from_relation }} rename to {{ adapter.quote_as_configured(to_relation.identifier, 'identifier') }}
  {%- endcall %}
{%- endmacro %}

{# A temporary table's name stands alone: it belongs to the connection, not to a schema. #}
{% macro duckdb__make_temp_relation(base_relation, suffix) %}
  {% do return(base_relation.incorporate(path={
       'identifier': base_relation.identifier ~ suffix ~ py_current_timestring(),
       'schema': none,
       'database': none})) %}
{% endmacro %}

{# An index keeps DuckDB from renaming its table. #}
{% macro drop_indexes_on_relation(relation) -%}
  {% set sql %}
    select index_name from duckdb_indexes()
    where lower(database_name) = '{{ relation.database | lower }}'
      and lower(schema_name) = '{{ relation.schema | lower }}'
      and lower(table_name) = '{{ relation.identifier | lower }}'
  {% endset %}
  {% for row in run_query(sql) %}
    {% do run_query('drop index if exists ' ~ relation.include(identifier=false) ~ '.' ~ adapter.quote(row[0])) %}
  {% endfor %}
{%- endmacro %}

{% macro duckdb__get_create_index_sql(relation, index_dict) -%}
  {%- set columns = index_dict.get('columns', []) -%}
  {%- set name = local_md5(columns | join('_') ~ '_' ~ relation ~ '_' ~ py_current_timestring()) -%}
  create {{ 'unique' if index_dict.get('unique', false) }} index "{{ name }}" on {{ relation }} ({{ columns | join(', ') }});
{%- endmacro %}

{% macro duckdb__alter_relation_add_remove_columns(relation, add_columns, remove_columns) %}
  {% for column in add_columns or [] %}
    {% do run_query('alter ' ~ relation.type ~ ' ' ~ relation ~ ' add column ' ~ adapter.quote(column.name) ~ ' ' ~ column.dtype) %}
  {% endfor %}
  {% for column in remove_columns or [] %}
    {% do run_query('alter ' ~ relation.type ~ ' ' ~ relation ~ ' drop column ' ~ adapter.quote(column.name)) %}
  {% endfor %}
{% endmacro %}

{# No transaction is open when a connection is new, so none is ended before hooks outside of one. #}
{% macro run_hooks(hooks, inside_transaction=True) %}
  {% for hook in hooks | selectattr('transaction', 'equalto', inside_transaction) %}
    {% set hook_sql = render(hook.get('sql')) | trim %}
    {% if hook_sql %}
      {% call statement(auto_begin=inside_transaction) %}
        {{ hook_sql }}
      {% endcall %}
    {% endif %}
  {% endfor %}
{% endmacro %}

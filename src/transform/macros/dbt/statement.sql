{# How SQL reaches the warehouse: every other macro sends it through `statement`. #}

{%- macro statement(name=None, fetch_result=False, auto_begin=True, language='sql') -%}
  {%- if execute -%}
    {%- set sql_text = caller() -%}
    {%- if name == 'main' -%}
      {{ write(sql_text) }}
    {%- endif -%}
    {%- if language != 'sql' -%}
      {%- do exceptions.raise_compiler_error("statement: language '" ~ language ~ "' is not there yet") -%}
    {%- endif -%}
    {%- set answer, rows = adapter.execute(sql_text, auto_begin=auto_begin, fetch=fetch_result) -%}
    {%- if name is not none -%}
      {{ store_result(name, response=answer, agate_table=rows) }}
    {%- endif -%}
  {%- endif -%}
{%- endmacro %}

{# As `statement`, but sends nothing: what it is given becomes the result. #}
{% macro noop_statement(name=None, message=None, code=None, rows_affected=None, res=None) -%}
  {%- set sql_text = caller() -%}
  {%- if name == 'main' -%}
    {{ write(sql_text) }}
  {%- endif -%}
  {%- if name is not none -%}
    {{ store_raw_result(name, message=message, code=code, rows_affected=rows_affected, agate_table=res) }}
  {%- endif -%}
{%- endmacro %}

{# The rows of one query; while parsing, nothing. #}
{% macro run_query(sql) %}
  {% call statement('run_query_statement', fetch_result=true, auto_begin=false) %}
    {{ sql }}
  {% endcall %}
  {% do return(load_result('run_query_statement').table) %}
{% endmacro %}

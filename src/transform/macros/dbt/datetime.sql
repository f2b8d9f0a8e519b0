{# Times as texts, made here and not in the warehouse. #}

{% macro py_current_timestring() %}
  {% do return(modules.datetime.datetime.now().strftime('%Y%m%d%H%M%S%f')) %}
{% endmacro %}

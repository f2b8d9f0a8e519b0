{# Hooks of models. An adapter that begins a transaction with its connection ends it first. #}

{% macro run_hooks(hooks, inside_transaction=True) %}
  {% for hook in hooks | selectattr('transaction', 'equalto', inside_transaction) %}
    {% if loop.first and not inside_transaction %}
      {% call statement(auto_begin=false) %}
        commit;
      {% endcall %}
    {% endif %}
    {% set hook_sql = render(hook.get('sql')) | trim %}
    {% if hook_sql %}
      {% call statement(auto_begin=inside_transaction) %}
        {{ hook_sql }}
      {% endcall %}
    {% endif %}
  {% endfor %}
{% endmacro %}

{% macro make_hook_config(sql, inside_transaction) %}
  {{ tojson({'sql': sql, 'transaction': inside_transaction}) }}
{% endmacro %}

{% macro before_begin(sql) %}
  {{ make_hook_config(sql, inside_transaction=False) }}
{% endmacro %}

{% macro in_transaction(sql) %}
  {{ make_hook_config(sql, inside_transaction=True) }}
{% endmacro %}

{% macro after_commit(sql) %}
  {{ make_hook_config(sql, inside_transaction=False) }}
{% endmacro %}

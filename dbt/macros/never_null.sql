{# Rows in which one of the columns is null: one query for what `not_null` asks column by column. #}
{% test never_null(model, columns) %}
select {{ columns | join(', ') }}
from {{ model }}
where {{ columns | join(' is null or ') }} is null
{% endtest %}

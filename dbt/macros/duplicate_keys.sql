{# Keys that more than one row of the touched days has. #}
{% macro duplicate_keys(relation, key) -%}
select {{ key | join(', ') }}, count(*) as copies
from {{ relation }}
where {{ touched() }}
group by {{ key | join(', ') }}
having count(*) > 1
{%- endmacro %}

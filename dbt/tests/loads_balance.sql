-- The equation of every load: each message consumed was loaded, a duplicate, superseded or dead.
select load_id, consumed, loaded, duplicate, superseded, dead
from {{ source('raw_stocks', 'loads') }}
where consumed <> loaded + duplicate + superseded + dead
{%- if var('touched_after_load_id', none) is not none %}
  and load_id > {{ var('touched_after_load_id') }}
{%- endif %}

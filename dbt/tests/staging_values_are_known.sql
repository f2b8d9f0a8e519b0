-- Rows whose session or bar length is none that the models know.
select symbol, timestamp, session, bar_length
from {{ ref('stg_stock_prices') }}
where {{ touched() }}
  and (session not in ('pre', 'regular', 'post', 'closed')
       or bar_length not in ('1m', '5m', '15m', '30m', '1h', '4h', '1d'))

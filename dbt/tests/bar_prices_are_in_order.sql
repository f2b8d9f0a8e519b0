-- Bars whose open or close lies outside low and high, or that were made of nothing.
select symbol, bar_start, open, high, low, close, quote_count
from {{ ref('stock_bars_1m') }}
where {{ touched() }}
  and (low > least(open, close) or high < greatest(open, close) or quote_count < 1)

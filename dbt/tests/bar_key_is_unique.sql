{{ duplicate_keys(ref('stock_bars_1m'), ['symbol', 'bar_start']) }}

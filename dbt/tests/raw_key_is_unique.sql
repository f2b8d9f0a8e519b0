{{ duplicate_keys(source('raw_stocks', 'stock_prices'), ['symbol', 'timestamp']) }}

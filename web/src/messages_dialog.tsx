// The dialog of the messages behind a bar or a day.

import { counted, price, whole } from "./format";
import {
  asked,
  close,
  counts,
  failed,
  found,
  kAtOnce,
  more,
  opened,
  openRecord,
  type Asked,
} from "./messages";
import { Modal } from "./modal";
import { clockTime, exchangeDate } from "./time";
import type { Message } from "./wire";

/** JSON with air, anything else as it is. */
function readable(value: string): string {
  try {
    JSON.parse(value);
  } catch {
    return value;
  }
  // By hand and not by stringify, which would round a number that is longer than a double.
  return value.replace(/,"/g, ',\n "');
}

function time(message: Message, { intraday, from, to }: Asked): string {
  const day = intraday || from === to ? "" : `${exchangeDate(message.at)} `;
  const fraction = message.timestamp.slice(0, -1).split(".")[1] ?? "";
  return `${day}${clockTime(message.at)}${fraction === "" ? "" : `.${fraction}`}`;
}

function Row({ message, what }: { message: Message; what: Asked }) {
  const isOpen = opened.value?.timestamp === message.timestamp;
  const record = opened.value?.record ?? null;
  return (
    <>
      <tr class={counts(message, what.intraday) ? "" : "aside"}>
        <th scope="row" class="num">
          {time(message, what)}
        </th>
        <td>{price(message.price)}</td>
        <td>{whole(message.volume)}</td>
        <td>
          <button
            type="button"
            class="link"
            aria-expanded={isOpen}
            onClick={() => void openRecord(message)}
          >
            {message.offset}
          </button>
        </td>
        <td>{message.loadId}</td>
        <td class="textual">
          {message.session}
          {message.barLength === null ? "" : ` ${message.barLength}`}
        </td>
        <td class="textual">{message.dataSource}</td>
      </tr>
      {isOpen && (
        <tr class="record">
          <td colSpan={7}>
            {record === null ? (
              <p>
                The log no longer holds this record: its retention is shorter than the warehouse's.
              </p>
            ) : (
              <div>
                <p>
                  Topic {message.topic}, partition {message.partition}, offset {message.offset},
                  key {record.key ?? "none"}, appended {record.appendedAt}
                </p>
                <pre tabIndex={0}>{readable(record.value)}</pre>
              </div>
            )}
          </td>
        </tr>
      )}
    </>
  );
}

function Rows({ what }: { what: Asked }) {
  const known = found.value;
  if (known === null) return failed.value === null ? <p class="muted">Reading …</p> : null;
  const { total, messages } = known;
  const left = total - messages.length;
  const aside = messages.some((message) => !counts(message, what.intraday));
  return (
    <>
      <p class="muted">
        {total === 0
          ? "No message is loaded for this time yet."
          : `${counted(total, "message")} in raw_stocks.stock_prices, oldest first. ` +
            "An offset opens the record as it came in."}
        {aside &&
          (what.intraday
            ? " Dimmed ones are bars of more than a minute, which this bar leaves out."
            : " Dimmed ones are of other sessions; a day is made of the regular one.")}
      </p>
      {total > 0 && (
        <div class="messages-box" tabIndex={0} role="region" aria-label="Messages">
          <table class="data">
            <thead>
              <tr>
                <th scope="col">Time (NY)</th>
                <th scope="col">Price</th>
                <th scope="col">Volume</th>
                <th scope="col">Offset</th>
                <th scope="col">Load</th>
                <th scope="col" class="textual">
                  Session
                </th>
                <th scope="col" class="textual">
                  Source
                </th>
              </tr>
            </thead>
            <tbody>
              {messages.map((message) => (
                <Row key={message.timestamp} message={message} what={what} />
              ))}
            </tbody>
          </table>
          {left > 0 && (
            <button type="button" class="button" onClick={() => void more()}>
              Show {whole(Math.min(kAtOnce, left))} more of {whole(left)}
            </button>
          )}
        </div>
      )}
    </>
  );
}

export function MessagesDialog() {
  const what = asked.value;
  return (
    <Modal title={what === null ? null : `${what.symbol} · ${what.title}`} wide onClose={close}>
      {what !== null && <Rows what={what} />}
      {failed.value !== null && (
        <p class="bad" role="alert">
          {failed.value}
        </p>
      )}
    </Modal>
  );
}

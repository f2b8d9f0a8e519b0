// The one connection on which everything is pushed. A browser opens it once: the tab that holds
// the lock reads the stream and passes every message on to the others, and when it closes, the
// next tab takes over. While the browser retries by itself it resumes with Last-Event-ID; where
// it gives up, the stream is opened anew after 0, 2, 5, 10, then every 30 seconds. After every
// interruption `resync` asks for a fresh copy of all that is shown.

export type StreamEvent = "quote" | "status" | "run" | "feed_gap" | "gap";
const kEvents: readonly StreamEvent[] = ["quote", "status", "run", "feed_gap", "gap"];

export interface Connection {
  state: "connecting" | "open" | "reconnecting";
  /** Since when it is not open, in ms. */
  since: number;
  /** When the next try comes, where that is ours to say. */
  retryAt: number | null;
}

export interface StreamHandlers {
  message: (event: StreamEvent, data: string) => void;
  connection: (connection: Connection) => void;
  resync: () => void;
  /** Asked after a long silence: settles if the server still answers. */
  probe: () => Promise<unknown>;
}

type TabMessage =
  | { kind: "event"; event: StreamEvent; data: string }
  | { kind: "connection"; connection: Connection }
  | { kind: "hello" }
  | { kind: "retry" };

const kBackoffSeconds: readonly number[] = [0, 2, 5, 10, 30];
const kSilenceMs = 30_000;

/** The pause before the nth try in a row, in ms. */
export function backoffMs(attempt: number): number {
  return (kBackoffSeconds[attempt] ?? 30) * 1000;
}

export class LiveStream {
  private source: EventSource | null = null;
  private channel: BroadcastChannel | null = null;
  private leads = false;
  private attempt = 0;
  private retryTimer = 0;
  private silenceTimer = 0;
  private connection: Connection;

  constructor(
    private readonly url: string,
    private readonly handlers: StreamHandlers,
    private readonly now: () => number,
  ) {
    this.connection = { state: "connecting", since: now(), retryAt: null };
  }

  start(): void {
    const locks: LockManager | undefined = navigator.locks;
    if (locks === undefined || typeof BroadcastChannel === "undefined") {
      this.lead();
      return;
    }
    this.channel = new BroadcastChannel("tapeline-stream");
    this.channel.onmessage = (message: MessageEvent<TabMessage>) => this.hear(message.data);
    this.post({ kind: "hello" });
    void locks.request("tapeline-stream", () => {
      this.lead();
      return new Promise<void>(() => undefined);
    });
  }

  retryNow(): void {
    if (this.leads) {
      this.attempt = 0;
      this.open();
    } else {
      this.post({ kind: "retry" });
    }
  }

  private hear(message: TabMessage): void {
    if (this.leads) {
      if (message.kind === "hello") this.post({ kind: "connection", connection: this.connection });
      if (message.kind === "retry") this.retryNow();
    } else if (message.kind === "event") {
      this.handlers.message(message.event, message.data);
    } else if (message.kind === "connection") {
      this.become(message.connection);
    }
  }

  private post(message: TabMessage): void {
    this.channel?.postMessage(message);
  }

  private lead(): void {
    this.leads = true;
    this.open();
  }

  private open(): void {
    window.clearTimeout(this.retryTimer);
    this.source?.close();
    const source = new EventSource(this.url);
    this.source = source;
    source.onopen = () => {
      this.attempt = 0;
      this.listen();
      this.tell({ state: "open", since: this.now(), retryAt: null });
    };
    source.onerror = () => this.lost(source);
    for (const event of kEvents) {
      source.addEventListener(event, (message: MessageEvent<string>) => {
        this.listen();
        this.post({ kind: "event", event, data: message.data });
        this.handlers.message(event, message.data);
      });
    }
  }

  private lost(source: EventSource): void {
    if (source !== this.source) return;
    window.clearTimeout(this.silenceTimer);
    const { state, since } = this.connection;
    const lostAt = state === "open" ? this.now() : since;
    let retryAt: number | null = null;
    if (source.readyState === EventSource.CLOSED) {
      const pause = backoffMs(this.attempt++);
      retryAt = this.now() + pause;
      this.retryTimer = window.setTimeout(() => this.open(), pause);
    }
    this.tell({ state: "reconnecting", since: lostAt, retryAt });
  }

  /** Heartbeats are comments that a page cannot see, so a long silence is looked into. */
  private listen(): void {
    window.clearTimeout(this.silenceTimer);
    this.silenceTimer = window.setTimeout(() => {
      this.handlers.probe().then(
        () => this.listen(),
        () => this.open(),
      );
    }, kSilenceMs);
  }

  private tell(connection: Connection): void {
    this.post({ kind: "connection", connection });
    this.become(connection);
  }

  private become(connection: Connection): void {
    const was = this.connection.state;
    this.connection = connection;
    this.handlers.connection(connection);
    if (was === "reconnecting" && connection.state === "open") this.handlers.resync();
  }
}

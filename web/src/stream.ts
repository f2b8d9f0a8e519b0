// The one connection on which everything is pushed. A browser opens it once: the tab that holds
// the lock reads the stream and passes every message on to the others, and when it closes, the
// next tab takes over. While the browser retries by itself it resumes with Last-Event-ID; where
// it gives up, the stream is opened anew after 0, 2, 5, 10, then every 30 seconds; so it is where a
// silent connection turns out to be dead. Whenever a stream takes the place of another, `resync`
// asks for a fresh copy of all that is shown.

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
  /** Asked after a long silence: true where the server knows more than the stream has brought. */
  isBehind: () => Promise<boolean>;
}

type TabMessage =
  | { kind: "event"; event: StreamEvent; data: string }
  | { kind: "connection"; connection: Connection }
  | { kind: "hello" }
  | { kind: "retry" };

const kBackoffSeconds: readonly number[] = [0, 2, 5, 10, 30];
const kSilenceMs = 30_000;
/** What the server has just learnt may still be on its way. */
const kGraceMs = 5000;

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
  private heardAt = 0;
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
    this.listen();
    source.onopen = () => {
      this.attempt = 0;
      this.heard();
      this.tell({ state: "open", since: this.now(), retryAt: null });
    };
    source.onerror = () => this.lost(source);
    for (const event of kEvents) {
      source.addEventListener(event, (message: MessageEvent<string>) => {
        this.heard();
        this.post({ kind: "event", event, data: message.data });
        this.handlers.message(event, message.data);
      });
    }
  }

  private lost(source: EventSource): void {
    if (source !== this.source) return;
    this.listen();
    const { state, since } = this.connection;
    const lostAt = state === "open" ? this.now() : since;
    let retryAt: number | null = null;
    if (source.readyState === EventSource.CLOSED) {
      window.clearTimeout(this.silenceTimer);
      this.silenceTimer = 0;
      const pause = backoffMs(this.attempt++);
      retryAt = this.now() + pause;
      this.retryTimer = window.setTimeout(() => this.open(), pause);
    }
    this.tell({ state: "reconnecting", since: lostAt, retryAt });
  }

  private heard(): void {
    this.heardAt = this.now();
    this.listen();
  }

  /** Heartbeats are comments that a page cannot see, so a long silence is looked into. */
  private listen(): void {
    window.clearTimeout(this.silenceTimer);
    this.silenceTimer = window.setTimeout(() => void this.lookInto(), kSilenceMs);
  }

  /** A connection whose other end went without a word looks like a quiet market until the server
   * is asked. A try to connect that takes this long hangs. */
  private async lookInto(): Promise<void> {
    const silence = this.silenceTimer;
    const isQuiet =
      this.source?.readyState === EventSource.OPEN &&
      (await this.handlers.isBehind().then(
        (behind) => !behind,
        () => false,
      ));
    if (silence !== this.silenceTimer) return;
    if (isQuiet) this.listen();
    else this.silenceTimer = window.setTimeout(() => this.reopen(), kGraceMs);
  }

  private reopen(): void {
    const { state, since } = this.connection;
    const lostAt = state === "open" ? this.heardAt : since;
    this.tell({ state: "reconnecting", since: lostAt, retryAt: null });
    this.open();
  }

  private tell(connection: Connection): void {
    this.post({ kind: "connection", connection });
    this.become(connection);
  }

  private become(connection: Connection): void {
    const was = this.connection;
    this.connection = connection;
    this.handlers.connection(connection);
    // A new tab has every tab told once more of the stream there is.
    const isAnother = was.state === "reconnecting" || was.since !== connection.since;
    if (connection.state === "open" && was.state !== "connecting" && isAnother) {
      this.handlers.resync();
    }
  }
}

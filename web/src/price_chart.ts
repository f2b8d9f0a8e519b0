// The drawn chart: candles, volume, the mart's averages and the reference lines, around the
// chart library. It is told what to draw and tells where the crosshair is; it fetches nothing
// and knows no signals.

import {
  BarSeries,
  CandlestickSeries,
  ColorType,
  CrosshairMode,
  HistogramSeries,
  LineSeries,
  LineStyle,
  LineType,
  PriceScaleMode,
  TickMarkType,
  createChart,
  type IChartApi,
  type IPriceLine,
  type ISeriesApi,
  type MouseEventParams,
  type Time,
  type UTCTimestamp,
} from "lightweight-charts";
import { averagesOf, emptySlots, shadedSpans, type Averages } from "./bars";
import type { ChartData } from "./chart_data";
import { GapHatching, Watermark } from "./chart_paint";
import { compact, price } from "./format";
import { isIntraday } from "./range";
import {
  clockMinutes,
  exchangeDate,
  fromChartTime,
  longDate,
  monthName,
  toChartTime,
  zoneName,
} from "./time";
import type { ChartType, Scale } from "./url";
import type { Bar, Interval } from "./wire";

export interface Levels {
  previousClose: number | null;
  high52: number | null;
  low52: number | null;
}

type MainSeries = ISeriesApi<"Candlestick"> | ISeriesApi<"Bar"> | ISeriesApi<"Line">;

/** A title in full and for a narrow chart. */
type Title = readonly [string, string];

/** Below this width, in pixels, names on the chart are short. */
const kNarrow = 560;
/** Right of the newest bar, in pixels: the names of the levels stand there. */
const kRoom = 76;
const kRoomNarrow = 40;
const kPriceFormat = { type: "custom" as const, formatter: price, minMove: 0.0001 };
const kVolumeFormat = { type: "custom" as const, formatter: compact, minMove: 1 };

function chartTime(bar: { time: number }, interval: Interval): UTCTimestamp {
  return (isIntraday(interval) ? toChartTime(bar.time) : bar.time / 1000) as UTCTimestamp;
}

export class PriceChart {
  private readonly api: IChartApi;
  private readonly volume: ISeriesApi<"Histogram">;
  private readonly ma7: ISeriesApi<"Line">;
  private readonly ma30: ISeriesApi<"Line">;
  private readonly hatching = new GapHatching();
  private readonly watermark = new Watermark();
  private main: MainSeries;
  private type: ChartType = "candles";
  private data: ChartData | null = null;
  private averages: Averages[] = [];
  private indexOf = new Map<number, number>();
  private lines: IPriceLine[] = [];
  private levels: Levels = { previousClose: null, high52: null, low52: null };
  private cursor: number | null = null;
  private pinned: number | null = null;
  private drawn = 0;
  /** Places on the time axis: bars, and holes where bars were expected. */
  private slots = 0;
  private fitted = true;

  constructor(
    private readonly box: HTMLElement,
    private readonly onBar: (index: number | null) => void,
    private readonly onFollow: (follows: boolean) => void,
    private readonly onPin: (index: number | null) => void,
  ) {
    this.api = createChart(box, {
      autoSize: true,
      layout: { attributionLogo: false, fontSize: 11 },
      crosshair: { mode: CrosshairMode.Normal },
      rightPriceScale: { borderVisible: false, minimumWidth: 68 },
      timeScale: {
        borderVisible: false,
        timeVisible: true,
        secondsVisible: false,
        minBarSpacing: 0.05,
        maxBarSpacing: 28,
        fixLeftEdge: true,
        lockVisibleTimeRangeOnResize: true,
        tickMarkFormatter: (time: Time, mark: TickMarkType) => this.tickLabel(Number(time), mark),
      },
      localization: { timeFormatter: (time: Time) => this.timeLabel(Number(time)) },
      handleScroll: { vertTouchDrag: false },
    });
    this.main = this.addMain("candles");
    const line = {
      lineWidth: 2 as const,
      priceLineVisible: false,
      lastValueVisible: false,
      crosshairMarkerVisible: false,
      priceFormat: kPriceFormat,
    };
    this.ma7 = this.api.addSeries(LineSeries, line);
    this.ma30 = this.api.addSeries(LineSeries, line);
    this.volume = this.api.addSeries(
      HistogramSeries,
      { priceFormat: kVolumeFormat, priceLineVisible: false, lastValueVisible: false },
      1,
    );
    const [top, bottom] = this.api.panes();
    top?.setStretchFactor(4);
    bottom?.setStretchFactor(1);
    top?.attachPrimitive(this.watermark);
    top?.attachPrimitive(this.hatching);
    this.api.subscribeCrosshairMove((event) => this.crosshairMoved(event));
    this.api.subscribeClick((event) => this.clicked(event));
    this.api.timeScale().subscribeVisibleLogicalRangeChange(() => this.viewMoved());
    this.api.timeScale().subscribeSizeChange(() => this.resized());
    box.addEventListener("wheel", this.userMoved, { passive: true });
    box.addEventListener("pointerdown", this.userMoved);
    box.addEventListener("dblclick", this.fit);
  }

  remove(): void {
    this.api.remove();
  }

  /** Draws with the colours that the style sheet gives the chart's box. */
  paint(): void {
    const style = getComputedStyle(this.box);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    this.api.applyOptions({
      layout: {
        background: { type: ColorType.Solid, color: colour("--surface") },
        textColor: colour("--muted"),
        fontFamily: style.fontFamily,
        panes: { separatorColor: colour("--line"), separatorHoverColor: colour("--hover") },
      },
      grid: { vertLines: { color: colour("--grid") }, horzLines: { color: colour("--grid") } },
      crosshair: {
        vertLine: { color: colour("--faint"), labelBackgroundColor: colour("--label") },
        horzLine: { color: colour("--faint"), labelBackgroundColor: colour("--label") },
      },
    });
    const up = colour("--up");
    const down = colour("--down");
    if (this.type === "line") {
      (this.main as ISeriesApi<"Line">).applyOptions({ color: colour("--accent"), lineWidth: 2 });
    } else if (this.type === "bars") {
      (this.main as ISeriesApi<"Bar">).applyOptions({
        upColor: up,
        downColor: down,
        thinBars: false,
      });
    } else {
      (this.main as ISeriesApi<"Candlestick">).applyOptions({
        upColor: this.type === "hollow" ? colour("--surface") : up,
        downColor: down,
        borderUpColor: up,
        borderDownColor: down,
        wickUpColor: up,
        wickDownColor: down,
      });
    }
    this.ma7.applyOptions({ color: colour("--ma7") });
    this.ma30.applyOptions({ color: colour("--ma30") });
    this.watermark.setColour(colour("--watermark"));
    this.hatching.setColour(colour("--hatch"));
    this.drawVolume();
    this.setLevels(this.levels);
  }

  setWatermark(text: string): void {
    this.watermark.setText(text);
  }

  setType(type: ChartType): void {
    if (type === this.type) return;
    const range = this.api.timeScale().getVisibleLogicalRange();
    this.lines = [];
    this.api.removeSeries(this.main);
    this.type = type;
    this.main = this.addMain(type);
    this.main.setSeriesOrder(0);
    if (this.data !== null) this.drawMain(this.data);
    this.paint();
    if (range !== null) this.api.timeScale().setVisibleLogicalRange(range);
  }

  setScale(scale: Scale): void {
    const mode = {
      linear: PriceScaleMode.Normal,
      log: PriceScaleMode.Logarithmic,
      pct: PriceScaleMode.Percentage,
    }[scale];
    this.api.priceScale("right").applyOptions({ mode });
  }

  setLevels(levels: Levels): void {
    this.levels = levels;
    const narrow = this.box.clientWidth < kNarrow;
    // Only where it differs: the chart jumps to its newest bar when it is told.
    const room = narrow ? kRoomNarrow : kRoom;
    const scale = this.api.timeScale();
    if (scale.options().rightOffsetPixels !== room) scale.applyOptions({ rightOffsetPixels: room });
    for (const line of this.lines) this.main.removePriceLine(line);
    const style = getComputedStyle(this.box);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    const at = (value: number | null, [wide, short]: Title, lineStyle: LineStyle, name: string) =>
      value === null
        ? []
        : [
            this.main.createPriceLine({
              price: value,
              title: narrow ? short : wide,
              lineStyle,
              lineWidth: 1,
              color: colour(name),
              axisLabelVisible: true,
              axisLabelColor: colour("--label"),
              axisLabelTextColor: colour("--label-text"),
            }),
          ];
    this.lines = [
      ...at(levels.previousClose, ["prev close", "prev"], LineStyle.Dotted, "--faint-line"),
      ...at(levels.high52, ["52w high", "52w H"], LineStyle.Dashed, "--level"),
      ...at(levels.low52, ["52w low", "52w L"], LineStyle.Dashed, "--level"),
    ];
  }

  /** Draws anew. The view stays where it is unless another symbol, span or interval is shown. */
  setData(data: ChartData): void {
    const old = this.data;
    const same =
      old !== null &&
      old.symbol === data.symbol &&
      old.interval === data.interval &&
      old.span.from === data.span.from &&
      old.span.to === data.span.to;
    const range = same && !this.fitted ? this.api.timeScale().getVisibleRange() : null;
    this.data = data;
    this.averages = averagesOf(data.bars, data.days, data.interval);
    this.drawMain(data);
    this.drawVolume();
    this.drawAverages(data);
    this.hatching.setSpans(
      shadedSpans(data).map(
        ([first, last]) =>
          [toChartTime(first) as UTCTimestamp, toChartTime(last) as UTCTimestamp] as const,
      ),
    );
    if (range !== null) this.api.timeScale().setVisibleRange(range);
    else if (!same || this.fitted) this.fit();
    this.onBar(null);
  }

  /** Draws what the data's end has gained since it was last drawn: its last bar, and new ones. */
  grow(): void {
    const data = this.data;
    if (data === null) return;
    for (let i = Math.max(0, this.drawn - 1); i < data.bars.length; ++i) {
      const bar = data.bars[i];
      if (bar !== undefined) this.growBar(data, bar, i);
    }
    this.drawn = data.bars.length;
    if (this.cursor === null) this.onBar(null);
  }

  private growBar(data: ChartData, bar: Bar, index: number): void {
    const time = chartTime(bar, data.interval);
    const isNew = !this.indexOf.has(time);
    this.indexOf.set(time, index);
    const average = averagesOf([bar], data.days, data.interval)[0];
    if (average !== undefined) {
      this.averages[index] = average;
      if (isNew && average.ma7 !== null) this.ma7.update({ time, value: average.ma7 });
      if (isNew && average.ma30 !== null) this.ma30.update({ time, value: average.ma30 });
    }
    if (this.type === "line") (this.main as ISeriesApi<"Line">).update({ time, value: bar.close });
    else (this.main as ISeriesApi<"Candlestick">).update(this.candle(bar, time));
    if (bar.volume !== null) this.volume.update(this.volumeBar(bar, time));
    if (isNew) ++this.slots;
    if (isNew && this.fitted) this.fit();
  }

  barAt(index: number | null): { bar: Bar; averages: Averages } | null {
    const at = index ?? (this.data?.bars.length ?? 0) - 1;
    const bar = this.data?.bars[at];
    if (bar === undefined) return null;
    return { bar, averages: this.averages[at] ?? { ma7: null, ma30: null } };
  }

  /** Moves the crosshair by bars, from the last one where there is none; the bar it stands on. */
  step(by: number): number | null {
    const count = this.data?.bars.length ?? 0;
    if (count === 0) return null;
    const from = this.cursor ?? (by < 0 ? count : count - 2);
    return this.pointAt(Math.min(count - 1, Math.max(0, from + by)));
  }

  private pointAt(index: number): number {
    const data = this.data;
    const bar = data?.bars[index];
    if (data === null || bar === undefined) return index;
    this.api.setCrosshairPosition(bar.close, chartTime(bar, data.interval), this.main);
    this.cursor = index;
    this.onBar(index);
    return index;
  }

  /** Keeps the crosshair at a bar while nothing is pointed at; null lets it go. */
  pin(index: number | null): void {
    this.pinned = index;
    if (index !== null) this.pointAt(index);
    else this.clearCrosshair();
  }

  clearCrosshair(): void {
    this.cursor = null;
    this.api.clearCrosshairPosition();
    this.onBar(null);
  }

  zoom(factor: number): void {
    const scale = this.api.timeScale();
    const range = scale.getVisibleLogicalRange();
    if (range === null) return;
    this.fitted = false;
    // The room right of the newest bar stays as wide as it is, however wide the bars become.
    const end = Math.min(range.to, this.slots - 1);
    const width = Math.max(5, (end - range.from) * factor);
    const pixels = end < range.to ? (scale.options().rightOffsetPixels ?? 0) : 0;
    const room = (pixels * width) / Math.max(1, scale.width() - pixels);
    scale.setVisibleLogicalRange({ from: end - width, to: end + room });
  }

  readonly fit = (): void => {
    this.fitted = true;
    this.api.timeScale().fitContent();
    this.api.priceScale("right").applyOptions({ autoScale: true });
  };

  follow(): void {
    this.api.timeScale().scrollToRealTime();
  }

  /** True where the reader has panned back and the newest bar is out of sight. */
  isBehind(): boolean {
    const range = this.api.timeScale().getVisibleLogicalRange();
    return range !== null && range.to < this.slots - 1;
  }

  picture(): HTMLCanvasElement {
    return this.api.takeScreenshot(true);
  }

  /** What the tests read, since the drawing itself is pixels. */
  facts(): { bars: number; last: Bar | null; from: number | null; to: number | null } {
    const range = this.api.timeScale().getVisibleLogicalRange();
    return {
      bars: this.data?.bars.length ?? 0,
      last: this.data?.bars.at(-1) ?? null,
      from: range?.from ?? null,
      to: range?.to ?? null,
    };
  }

  private readonly userMoved = (): void => {
    this.fitted = false;
  };

  private addMain(type: ChartType): MainSeries {
    const options = { priceLineVisible: true, lastValueVisible: true, priceFormat: kPriceFormat };
    if (type === "line") return this.api.addSeries(LineSeries, options);
    if (type === "bars") return this.api.addSeries(BarSeries, options);
    return this.api.addSeries(CandlestickSeries, options);
  }

  private candle(bar: Bar, time: UTCTimestamp) {
    return { time, open: bar.open, high: bar.high, low: bar.low, close: bar.close };
  }

  private volumeBar(bar: Bar, time: UTCTimestamp) {
    const name = bar.close >= bar.open ? "--up-soft" : "--down-soft";
    const color = getComputedStyle(this.box).getPropertyValue(name).trim();
    return { time, value: bar.volume ?? 0, color };
  }

  private drawMain(data: ChartData): void {
    const bars = data.bars.map((bar) => {
      const time = chartTime(bar, data.interval);
      return this.type === "line" ? { time, value: bar.close } : this.candle(bar, time);
    });
    this.indexOf = new Map(bars.map((bar, i) => [bar.time, i]));
    const end = data.bars.at(-1)?.time ?? 0;
    const holes = emptySlots(data)
      .flat()
      .filter((at) => at < end)
      .map((at) => ({ time: toChartTime(at) as UTCTimestamp }));
    const all = holes.length === 0 ? bars : [...bars, ...holes].sort((a, b) => a.time - b.time);
    this.drawn = bars.length;
    this.slots = all.length;
    (this.main as ISeriesApi<"Line">).setData(all as { time: UTCTimestamp; value: number }[]);
  }

  private drawVolume(): void {
    const data = this.data;
    if (data === null) return;
    const style = getComputedStyle(this.box);
    const up = style.getPropertyValue("--up-soft").trim();
    const down = style.getPropertyValue("--down-soft").trim();
    this.volume.setData(
      data.bars.flatMap((bar) =>
        bar.volume === null
          ? []
          : [
              {
                time: chartTime(bar, data.interval),
                value: bar.volume,
                color: bar.close >= bar.open ? up : down,
              },
            ],
      ),
    );
  }

  private drawAverages(data: ChartData): void {
    const points = (of: (averages: Averages) => number | null) =>
      data.bars.map((bar, i) => {
        const time = chartTime(bar, data.interval);
        const value = of(this.averages[i] ?? { ma7: null, ma30: null });
        return value === null ? { time } : { time, value };
      });
    const intraday = isIntraday(data.interval);
    for (const line of [this.ma7, this.ma30]) {
      line.applyOptions({
        lineType: intraday ? LineType.WithSteps : LineType.Simple,
        autoscaleInfoProvider: intraday
          ? () => null
          : (original: () => unknown) => original() as null,
      });
    }
    this.ma7.setData(points(({ ma7 }) => ma7));
    this.ma30.setData(points(({ ma30 }) => ma30));
  }

  private crosshairMoved(event: MouseEventParams): void {
    const index = event.time === undefined ? undefined : this.indexOf.get(Number(event.time));
    if (index === undefined && this.pinned !== null) {
      this.pointAt(this.pinned);
      return;
    }
    this.cursor = index ?? null;
    this.onBar(this.cursor);
  }

  private clicked(event: MouseEventParams): void {
    const index = event.time === undefined ? undefined : this.indexOf.get(Number(event.time));
    this.onPin(index === undefined || index === this.pinned ? null : index);
  }

  private resized(): void {
    this.setLevels(this.levels);
    if (this.fitted) this.fit();
  }

  private viewMoved(): void {
    this.onFollow(!this.isBehind());
  }

  private tickLabel(time: number, mark: TickMarkType): string {
    const wall = new Date(time * 1000);
    if (mark === TickMarkType.Year) return String(wall.getUTCFullYear());
    if (mark === TickMarkType.Month) return monthName(wall.getUTCMonth());
    if (mark === TickMarkType.DayOfMonth)
      return `${wall.getUTCDate()} ${monthName(wall.getUTCMonth())}`;
    return clockMinutes(fromChartTime(time));
  }

  private timeLabel(time: number): string {
    if (this.data === null || !isIntraday(this.data.interval)) {
      return longDate(new Date(time * 1000).toISOString().slice(0, 10));
    }
    const at = fromChartTime(time);
    return `${longDate(exchangeDate(at))}  ${clockMinutes(at)} ${zoneName(at)}`;
  }
}

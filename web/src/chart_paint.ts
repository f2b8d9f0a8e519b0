// What is painted behind the candles: the word that says the prices are not real, and hatching
// where bars were expected and none came.

import type {
  IPanePrimitive,
  IPanePrimitivePaneView,
  IPrimitivePaneRenderer,
  PaneAttachedParameter,
  Time,
} from "lightweight-charts";

type Target = Parameters<IPrimitivePaneRenderer["draw"]>[0];

abstract class Behind implements IPanePrimitive<Time> {
  protected attachment: PaneAttachedParameter<Time> | null = null;
  protected colour = "transparent";

  attached(attachment: PaneAttachedParameter<Time>): void {
    this.attachment = attachment;
  }

  detached(): void {
    this.attachment = null;
  }

  setColour(colour: string): void {
    this.colour = colour;
    this.attachment?.requestUpdate();
  }

  paneViews(): readonly IPanePrimitivePaneView[] {
    return [
      {
        zOrder: () => "bottom",
        renderer: () => ({ draw: (target: Target) => this.draw(target) }),
      },
    ];
  }

  protected abstract draw(target: Target): void;
}

export class Watermark extends Behind {
  private text = "";

  setText(text: string): void {
    if (text === this.text) return;
    this.text = text;
    this.attachment?.requestUpdate();
  }

  protected draw(target: Target): void {
    if (this.text === "") return;
    target.useMediaCoordinateSpace(({ context, mediaSize: { width, height } }) => {
      const diagonal = Math.hypot(width, height);
      const size = Math.min(96, Math.floor(diagonal / (this.text.length * 1.15)));
      context.save();
      context.translate(width / 2, height / 2);
      context.rotate(-Math.atan2(height, width));
      context.font = `700 ${size}px system-ui, sans-serif`;
      context.textAlign = "center";
      context.textBaseline = "middle";
      context.fillStyle = this.colour;
      context.fillText(this.text, 0, 0);
      context.restore();
    });
  }
}

export class GapHatching extends Behind {
  private spans: readonly (readonly [Time, Time])[] = [];

  setSpans(spans: readonly (readonly [Time, Time])[]): void {
    this.spans = spans;
    this.attachment?.requestUpdate();
  }

  protected draw(target: Target): void {
    const scale = this.attachment?.chart.timeScale();
    if (scale === undefined || this.spans.length === 0) return;
    target.useMediaCoordinateSpace(({ context, mediaSize: { width, height } }) => {
      const half = scale.options().barSpacing / 2;
      for (const [from, to] of this.spans) {
        const left = scale.timeToCoordinate(from);
        const right = scale.timeToCoordinate(to);
        if (left === null || right === null || right + half < 0 || left - half > width) continue;
        context.save();
        context.beginPath();
        context.rect(left - half, 0, Math.max(1, right - left + 2 * half), height);
        context.clip();
        context.strokeStyle = this.colour;
        context.lineWidth = 1;
        context.beginPath();
        for (let x = left - half - height; x < right + half; x += 7) {
          context.moveTo(x, height);
          context.lineTo(x + height, 0);
        }
        context.stroke();
        context.restore();
      }
    });
  }
}

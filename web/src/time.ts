// Exchange time. The chart library knows no time zones and draws a number of seconds as if it
// were UTC, so instants are shifted to New York's wall clock on the way in and back on the way
// out. In the hour that autumn repeats, the second pass is squeezed into the last second of the
// first, so that chart times stay in order and can still be turned back.

export const kExchangeZone = "America/New_York";
const kHourMs = 3_600_000;
const kDayMs = 86_400_000;

const zoneParts = new Intl.DateTimeFormat("en-US", {
  timeZone: kExchangeZone,
  hourCycle: "h23",
  year: "numeric",
  month: "numeric",
  day: "numeric",
  hour: "numeric",
  minute: "numeric",
  second: "numeric",
});

const offsetOfHour = new Map<number, number>();

/** New York's offset from UTC in ms at an instant; the zone changes on full hours only. */
function zoneOffset(ms: number): number {
  const hour = Math.floor(ms / kHourMs);
  let offset = offsetOfHour.get(hour);
  if (offset === undefined) {
    const start = hour * kHourMs;
    const part: Record<string, number> = {};
    for (const { type, value } of zoneParts.formatToParts(start)) part[type] = Number(value);
    const wall = Date.UTC(
      part["year"] ?? 1970,
      (part["month"] ?? 1) - 1,
      part["day"] ?? 1,
      part["hour"] ?? 0,
      part["minute"] ?? 0,
      part["second"] ?? 0,
    );
    offset = wall - start;
    offsetOfHour.set(hour, offset);
  }
  return offset;
}

/** True in the second pass of the hour that ends summer time. */
function repeats(ms: number): boolean {
  return zoneOffset(ms) < zoneOffset(ms - kHourMs);
}

/** An instant in ms to the chart's seconds, strictly rising with the instant (to the second). */
export function toChartTime(ms: number): number {
  const wall = ms + zoneOffset(ms);
  if (!repeats(ms)) return wall / 1000;
  const hour = Math.floor(wall / kHourMs) * 3600;
  return hour + 3599 + (wall / 1000 - hour + 1) / 3602;
}

/** The instant in ms of a chart time that `toChartTime` made. */
export function fromChartTime(seconds: number): number {
  const hour = Math.floor(seconds / 3600) * 3600;
  const wall = seconds * 1000;
  const summer = wall + 4 * kHourMs;
  const winter = wall + 5 * kHourMs;
  const squeezed = seconds - hour > 3599 && repeats(hour * 1000 + 5 * kHourMs);
  if (squeezed) {
    const into = Math.round((seconds - hour - 3599) * 3602 - 1);
    return (hour + into) * 1000 + 5 * kHourMs;
  }
  return summer + zoneOffset(summer) === wall ? summer : winter;
}

/** The New York date of an instant, "2025-01-04". */
export function exchangeDate(ms: number): string {
  return new Date(ms + zoneOffset(ms)).toISOString().slice(0, 10);
}

/** The instant at which a New York date begins. */
export function startOfExchangeDate(date: string): number {
  const wall = Date.parse(date);
  const guess = wall + 5 * kHourMs;
  return wall - zoneOffset(wall - zoneOffset(guess));
}

export function addDays(date: string, days: number): string {
  return new Date(Date.parse(date) + days * kDayMs).toISOString().slice(0, 10);
}

/** Moves by calendar months; a day that the month lacks becomes its last. */
export function addMonths(date: string, months: number): string {
  const [year = 1970, month = 1, day = 1] = date.split("-").map(Number);
  const last = new Date(Date.UTC(year, month - 1 + months + 1, 0)).getUTCDate();
  return new Date(Date.UTC(year, month - 1 + months, Math.min(day, last)))
    .toISOString()
    .slice(0, 10);
}

export function daysBetween(from: string, to: string): number {
  return Math.round((Date.parse(to) - Date.parse(from)) / kDayMs);
}

export function toInstant(ms: number): string {
  return new Date(ms).toISOString();
}

function wallDigits(ms: number): string {
  return new Date(ms + zoneOffset(ms)).toISOString();
}

/** "14:02:11" in New York. */
export function clockTime(ms: number): string {
  return wallDigits(ms).slice(11, 19);
}

export function clockMinutes(ms: number): string {
  return wallDigits(ms).slice(11, 16);
}

/** "EDT" or "EST". */
export function zoneName(ms: number): string {
  return zoneOffset(ms) === -4 * kHourMs ? "EDT" : "EST";
}

const kMonths = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
const kWeekdays = "Sun Mon Tue Wed Thu Fri Sat".split(" ");

export function monthName(month: number): string {
  return kMonths[month] ?? "";
}

/** "Fri 22 May 2026" of a date, or of a chart day. */
export function longDate(date: string): string {
  const day = new Date(Date.parse(date));
  const weekday = kWeekdays[day.getUTCDay()] ?? "";
  return `${weekday} ${day.getUTCDate()} ${monthName(day.getUTCMonth())} ${day.getUTCFullYear()}`;
}

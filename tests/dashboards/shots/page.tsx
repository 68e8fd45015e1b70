// A board as Grafana's own components draw it. Only what lies around the panels is ours, and the
// bars of a state timeline: that panel is not published, so its states are drawn as plain boxes, in
// the words and colours that Grafana gave them.
import {
  type DataFrame,
  dateTime,
  FieldType,
  fieldMatchers,
  FieldMatcherID,
  formattedValueToString,
  getFieldDisplayName,
  getFieldDisplayValues,
  ThemeContext,
  type TimeRange,
} from "@grafana/data";
import { BigValue, BigValueColorMode, BigValueGraphMode, BigValueTextMode, Table, TimeSeries } from "@grafana/ui";
import { Component, type ReactNode } from "react";
import moment from "moment";
import "moment/locale/en-gb";
import "moment/locale/zh-cn";
import { createRoot } from "react-dom/client";
import { type Answer, framesOf, type Panel, theme } from "./frames";

interface Asked {
  panel: Panel & { id: number; gridPos: { x: number; y: number; w: number; h: number } };
  answers: Answer[];
  from: number;
  to: number;
}
moment.locale(navigator.language.toLowerCase()); // as Grafana does by the reader's preference
const CELL = 38;
const same = (text: string): string => text;
const asked: Asked[] = (window as any).ASKED;
const column = window.innerWidth / 24;

function rangeOf(one: Asked): TimeRange {
  const range = { from: dateTime(one.from), to: dateTime(one.to) };
  return { ...range, raw: range };
}

function States({ frames, range, width, height }: any): ReactNode {
  const fields = frames.flatMap((frame: DataFrame) =>
    frame.fields
      .filter((f) => f.type !== FieldType.time)
      .map((field) => ({ frame, field, times: frame.fields.find((f) => f.type === FieldType.time)!.values })),
  );
  const from = range.from.valueOf();
  const left = 150;
  const scale = (width - left) / (range.to.valueOf() - from);
  const row = Math.min(34, (height - 4) / Math.max(fields.length, 1));
  const boxes = fields.flatMap(({ frame, field, times }: any, n: number) => {
    const found: ReactNode[] = [
      <div key={`${n}`} style={{ position: "absolute", top: n * row, width: left - 8, textAlign: "right", fontSize: 12 }}>
        {getFieldDisplayName(field, frame, frames)}
      </div>,
    ];
    for (let k = 0; k < times.length; ) {
      let end = k + 1;
      while (end < times.length && field.values[end] === field.values[k]) end++;
      if (field.values[k] != null) {
        const shown = field.display(field.values[k]);
        const x = Math.max((times[k] - from) * scale, 0);
        const to = Math.min(end < times.length ? (times[end] - from) * scale : width - left, width - left);
        const box = { left: left + x, top: n * row + 2, width: Math.max(to - x - 1, 0), height: row - 4 };
        found.push(
          <div key={`${n}.${k}`} style={{ ...box, position: "absolute", background: `color-mix(in srgb, ${shown.color} 70%, white)`, color: "black", fontSize: 11, overflow: "hidden", whiteSpace: "nowrap", paddingLeft: to - x > 30 ? 4 : 0 }}>
            {to - x > 30 ? formattedValueToString(shown) : ""}
          </div>,
        );
      }
      k = end;
    }
    return found;
  });
  return <div style={{ position: "relative" }}>{boxes}</div>;
}

function Body({ one, frames, width, height }: { one: Asked; frames: DataFrame[]; width: number; height: number }): ReactNode {
  const { panel } = one;
  const range = rangeOf(one);
  if (!frames.some((frame) => frame.length > 0))
    return <div style={{ padding: 12, color: theme.colors.text.secondary }}>{panel.fieldConfig.defaults.noValue}</div>;
  if (panel.type === "timeseries" || panel.type === "trend") {
    const number = fieldMatchers.get(FieldMatcherID.byType).get(FieldType.number);
    const age = frames[0].fields.find((f) => f.type === FieldType.number);
    const fields = panel.type === "trend" ? { x: (f: any) => f === age || f.name === age!.name, y: number } : undefined;
    const legend = { ...panel.options.legend, showLegend: true };
    return (
      <TimeSeries frames={frames} structureRev={1} timeRange={range} timeZone="utc" width={width} height={height} legend={legend} options={panel.options} replaceVariables={same} {...(fields ? ({ fields } as any) : {})}>
        {() => null}
      </TimeSeries>
    );
  }
  if (panel.type === "table") return <Table data={frames[0]} width={width} height={height} initialSortBy={panel.options.sortBy} />;
  if (panel.type === "stat") {
    const { reduceOptions } = panel.options;
    const values = getFieldDisplayValues({ fieldConfig: panel.fieldConfig, reduceOptions, replaceVariables: same, theme, data: frames, timeZone: "utc" });
    return (
      <div style={{ display: "flex" }}>
        {values.map((value, n) => (
          <BigValue key={n} theme={theme} width={width / values.length} height={height} value={value.display} colorMode={BigValueColorMode.Value} graphMode={BigValueGraphMode.None} textMode={panel.options.textMode as BigValueTextMode} />
        ))}
      </div>
    );
  }
  return <States frames={frames} range={range} width={width} height={height} />;
}

class Safe extends Component<{ children: ReactNode }, { error?: Error }> {
  state: { error?: Error } = {};
  static getDerivedStateFromError(error: Error): { error: Error } {
    return { error };
  }
  render(): ReactNode {
    return this.state.error ? <pre className="broken">{this.state.error.stack}</pre> : this.props.children;
  }
}

async function draw(): Promise<void> {
  const ready = await Promise.all(asked.map(async (one) => ({ one, frames: one.panel.type === "row" ? [] : await framesOf(one.panel, one.answers) })));
  const lowest = Math.max(...asked.map(({ panel: { gridPos: g } }) => g.y + g.h)) * CELL;
  const panels = ready.map(({ one, frames }) => {
    const { x, y, w, h } = one.panel.gridPos;
    const [width, height] = [w * column - 8, h * CELL - 8];
    const row = one.panel.type === "row";
    const face = row ? {} : { background: theme.colors.background.primary, border: `1px solid ${theme.colors.border.weak}` };
    return (
      <div key={one.panel.id} style={{ position: "absolute", left: x * column + 4, top: y * CELL + 4, width, height, overflow: "hidden", ...face }}>
        <div style={{ padding: "4px 8px", height: 26, fontWeight: 500 }}>{one.panel.title}</div>
        {!row && (
          <Safe>
            <Body one={one} frames={frames} width={width - 4} height={height - 34} />
          </Safe>
        )}
      </div>
    );
  });
  const style = { position: "relative" as const, height: lowest, background: theme.colors.background.canvas, color: theme.colors.text.primary, fontFamily: 'Inter, "Noto Sans CJK SC", sans-serif', fontSize: 14 };
  createRoot(document.getElementById("root")!).render(
    <ThemeContext.Provider value={theme}>
      <div style={style}>{panels}</div>
    </ThemeContext.Provider>,
  );
  setTimeout(() => (document.title = "drawn"), 1500);
}
draw().catch((error) => {
  document.body.innerHTML = `<pre class="broken">${error.stack}</pre>`;
  document.title = "drawn";
});

// A query's answer as Grafana's InfluxDB plugin makes frames of it, and what Grafana does with
// frames before a panel draws them. Names, types and labels of the frames are written after the
// plugin's behaviour; everything else here is Grafana's own code.
import {
  applyFieldOverrides,
  createTheme,
  displayNameOverrideProcessor,
  type DataFrame,
  type Field,
  type FieldConfigSource,
  FieldType,
  identityOverrideProcessor,
  Registry,
  standardTransformers,
  standardTransformersRegistry,
  transformDataFrame,
} from "@grafana/data";
import { lastValueFrom } from "rxjs";

interface Series {
  name: string;
  columns: string[];
  values: (number | string | boolean | null)[][];
  tags?: Record<string, string>;
}
export interface Answer {
  refId: string;
  alias: string;
  resultFormat: string;
  series: Series[];
}
export interface Panel {
  title: string;
  type: string;
  transformations?: any[];
  fieldConfig: FieldConfigSource;
  options: any;
}

standardTransformersRegistry.setInit(() =>
  // one is there under its old name too
  [...new Map(Object.values(standardTransformers).map((one: any) => [one.id, one])).values()].map((one) => ({
    id: one.id,
    name: one.name,
    // to Grafana 10 and 11 the transformation itself, later what fetches it
    transformation: Object.defineProperties(async () => one, Object.getOwnPropertyDescriptors(one)),
    editor: (() => null) as any,
    imageDark: "",
    imageLight: "",
  })),
);

// What may be put on a field. Grafana's panels declare each property; here every one is let through.
const PLAIN = "unit min max decimals displayName noValue color thresholds mappings links filterable";
const CUSTOM =
  "drawStyle lineWidth lineStyle lineInterpolation fillOpacity fillBelowTo gradientMode spanNulls " +
  "showPoints pointSize axisPlacement axisLabel axisColorMode axisSoftMin axisSoftMax " +
  "scaleDistribution stacking hideFrom thresholdsStyle barAlignment barWidthFactor show cellOptions " +
  "width align minWidth inspect insertNulls axisCenteredZero axisBorderShow axisGridShow";
const item = (path: string, isCustom: boolean): any => ({
  id: isCustom ? `custom.${path}` : path,
  name: path,
  path,
  isCustom,
  process: path === "displayName" ? displayNameOverrideProcessor : identityOverrideProcessor,
  override: () => null,
  editor: () => null,
  shouldApply: () => true,
});
const registry: any = new Registry(() => [
  ...PLAIN.split(" ").map((path) => item(path, false)),
  ...CUSTOM.split(" ").map((path) => item(path, true)),
]);

export const theme = createTheme({ colors: { mode: "light" } });

function typeOf(values: unknown[]): FieldType {
  const one = values.find((v) => v !== null && v !== undefined);
  if (typeof one === "string") return FieldType.string;
  return typeof one === "boolean" ? FieldType.boolean : FieldType.number;
}

function column(name: string, values: unknown[], labels?: Record<string, string>): Field {
  return { name, type: typeOf(values), values, labels, config: { displayNameFromDS: name } } as Field;
}

function asTable(answer: Answer): DataFrame[] {
  const all = answer.series;
  if (all.length === 0) return [];
  const rows = all.flatMap((s) => s.values);
  const tags = Object.keys(all[0].tags ?? {}).map((tag) =>
    column(tag, all.flatMap((s) => s.values.map(() => s.tags![tag]))),
  );
  const values = all[0].columns.map((name, n) => column(name, rows.map((row) => row[n])));
  if (all[0].columns[0] === "time")
    values[0] = { name: "Time", type: FieldType.time, values: values[0].values, config: {} };
  const fields = [values[0], ...tags, ...values.slice(1)];
  return [{ refId: answer.refId, name: all[0].name, fields, length: rows.length }];
}

function named(alias: string, series: Series, name: string): string {
  const tags = series.tags ?? {};
  if (alias) return alias.replace(/\$tag_(\w+)/g, (whole, tag) => tags[tag] ?? whole);
  const text = Object.entries(tags).map(([k, v]) => `${k}: ${v}`);
  return `${series.name}.${name}` + (text.length ? ` { ${text.join(", ")} }` : "");
}

function asSeries(answer: Answer): DataFrame[] {
  return answer.series.flatMap((series) =>
    series.columns.slice(1).map((one, n) => {
      const name = named(answer.alias, series, one);
      const time = series.values.map((row) => row[0] as number);
      const value = column("Value", series.values.map((row) => row[n + 1]), series.tags);
      value.config = { displayNameFromDS: name };
      const fields = [{ name: "Time", type: FieldType.time, values: time, config: {} }, value];
      return { refId: answer.refId, name, fields, length: time.length };
    }),
  );
}

/** Return the frames of a panel as it gets them: transformed, with names, units and colours. */
export async function framesOf(panel: Panel, answers: Answer[]): Promise<DataFrame[]> {
  const raw = answers.flatMap((a) => (a.resultFormat === "table" ? asTable(a) : asSeries(a)));
  const steps = panel.transformations ?? [];
  const data = steps.length ? await lastValueFrom(transformDataFrame(steps, raw)) : raw;
  return applyFieldOverrides({
    data,
    fieldConfig: panel.fieldConfig,
    replaceVariables: (text: string) => text,
    theme,
    timeZone: "utc",
    fieldConfigRegistry: registry,
  });
}

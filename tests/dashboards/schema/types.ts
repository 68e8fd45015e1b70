// What Grafana's own types allow of a classic board, of JSON: an enum is one of its strings, and
// nothing that a panel does not know is let through.
import type * as schema from "@grafana/schema";
import type * as raw from "./node_modules/@grafana/schema/dist/types/raw/dashboard/x/types.gen";
import type * as statetimeline from "./node_modules/@grafana/schema/dist/types/raw/composable/statetimeline/panelcfg/x/types.gen";
import type * as stat from "./node_modules/@grafana/schema/dist/types/raw/composable/stat/panelcfg/x/types.gen";
import type * as table from "./node_modules/@grafana/schema/dist/types/raw/composable/table/panelcfg/x/types.gen";
import type * as timeseries from "./node_modules/@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/types.gen";
import type * as trend from "./node_modules/@grafana/schema/dist/types/raw/composable/trend/panelcfg/x/types.gen";

type Plain<T> = unknown extends T
  ? T
  : T extends string
    ? `${T}`
    : T extends (infer U)[]
      ? Plain<U>[]
      : T extends object
        ? { [K in keyof T]: Plain<T[K]> }
        : T;

// The InfluxDB plugin's own query is not among the published types; its base is.
interface Influx extends Pick<schema.DataQuery, "refId" | "hide" | "datasource"> {
  query: string;
  rawQuery: true;
  resultFormat: "time_series" | "table" | "logs";
  alias: string;
  measurement: string;
}
type Defaults<C> = Omit<raw.FieldConfig, "custom"> & { custom?: Partial<C> };
interface Override<C> {
  matcher: schema.MatcherConfig;
  properties: {
    id: Exclude<keyof raw.FieldConfig, "custom"> | `custom.${Extract<keyof C, string>}`;
    value?: unknown;
  }[];
}
interface Shown<Type extends string, O, C>
  extends Omit<raw.Panel, "type" | "options" | "fieldConfig" | "targets" | "datasource"> {
  type: Type;
  datasource: { type: "influxdb"; uid: "fermloop-influxdb" };
  options: Partial<O>;
  fieldConfig: { defaults: Defaults<C>; overrides: Override<C>[] };
  targets: Influx[];
}
type Panel =
  | Shown<"timeseries", timeseries.Options, timeseries.FieldConfig>
  | Shown<"state-timeline", statetimeline.Options, statetimeline.FieldConfig>
  | Shown<"stat", stat.Options, object>
  | Shown<"table", table.Options, table.FieldConfig>
  | Shown<"trend", trend.Options, trend.FieldConfig>
  | (Omit<raw.RowPanel, "panels"> & { panels: [] });
// The plugin keeps a query of annotations beside the standard keys.
type Annotation = Omit<raw.AnnotationQuery, "target"> & {
  query: string;
  fromAnnotations: true;
  textColumn: string;
  tagsColumn: string;
};

export type Board = Plain<
  Omit<raw.Dashboard, "panels" | "annotations" | "templating"> & {
    panels: Panel[];
    annotations: { list: Annotation[] };
    templating: { list: raw.VariableModel[] };
  }
>;

// One query or expression of an alert rule; the rule itself is not among the published types.
export type AlertQuery = Plain<
  | (Omit<Influx, "alias" | "measurement"> & { intervalMs: number; maxDataPoints: number })
  | (schema.DataQuery & {
      type: "reduce";
      expression: string;
      reducer: "last";
      settings: { mode: "dropNN" };
    })
  | (schema.DataQuery & {
      type: "threshold";
      expression: string;
      conditions: { evaluator: { type: "gt" | "lt" | "outside_range"; params: number[] } }[];
    })
>;

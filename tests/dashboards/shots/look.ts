// Reads panels with the answers of their queries, one JSON a line, and tells what each panel gets.
import { createInterface } from "node:readline";
import { FieldType, formattedValueToString, getFieldDisplayName, getFieldSeriesColor } from "@grafana/data";
import { framesOf, theme } from "./frames";

for await (const line of createInterface({ input: process.stdin })) {
  const { panel, answers } = JSON.parse(line);
  const frames = await framesOf(panel, answers);
  const told = frames.map((frame) => ({
    refId: frame.refId,
    length: frame.length,
    fields: frame.fields.map((field) => {
      const known = field.values.filter((v: unknown) => v !== null && v !== undefined && v !== "");
      const last = known.length ? field.display!(known[known.length - 1]) : undefined;
      return {
        name: getFieldDisplayName(field, frame, frames),
        type: field.type,
        known: known.length,
        rising: field.values.every((v: any, n: number) => n === 0 || v >= field.values[n - 1]),
        text: last && formattedValueToString(last),
        colour: last?.color,
        line: field.type === FieldType.number ? getFieldSeriesColor(field, theme).color : undefined,
        config: field.config,
        values: panel.type === "trend" || panel.type === "table" ? field.values : undefined,
      };
    }),
  }));
  console.log(JSON.stringify({ title: panel.title, type: panel.type, frames: told }));
}

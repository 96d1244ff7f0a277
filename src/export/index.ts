export {
  EXPORT_DEFAULTS,
  EXPORT_PRECISIONS,
  type ExportOptions,
  type ExportRecord,
  exportModel,
} from './export-model.ts';
export { formatExport } from './format.ts';

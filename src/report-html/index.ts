export { REPORT_FILE, type ReportOptions, writeReport } from './write-report.ts';

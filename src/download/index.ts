export { type DownloadOptions, download, sourceOf } from './download.ts';
export type { DownloadEvent } from './events.ts';
export { type Checksum, type DownloadSource, SOURCES, type SourceFile } from './sources.ts';

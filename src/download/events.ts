/** What a download tells while it goes on. */
export type DownloadEvent =
  /** The server sends; `from` bytes were there already. */
  | { type: 'start'; file: string; from: number; total: number | undefined }
  | { type: 'progress'; file: string; received: number; total: number | undefined }
  /** The connection broke or the server is busy; the next attempt comes after `seconds`. */
  | { type: 'retry'; file: string; reason: string; seconds: number }
  /** What had come cannot be continued, and is fetched again from its start. */
  | { type: 'restart'; file: string; reason: string }
  /** In its place, whether it came now or was `present` before. */
  | { type: 'done'; file: string; bytes: number; present: boolean; verified: boolean; sha256: string }
  | { type: 'unpacked'; folder: string; entries: number; present: boolean };

/** Told what happens in a download. */
export type EmitDownload = (event: DownloadEvent) => void;

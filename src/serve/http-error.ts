import { OrtuneError } from '../errors.ts';

/** A refusal, as a client gets it: `{ "error": { "code", "message" } }` with an HTTP status. */
export class HttpError extends Error {
  readonly status: ErrorStatus;
  readonly code: string;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: ErrorStatus, code: string, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.headers = headers;
  }
}

/** Every status a refusal may have, and what it means: the API's description lists them. */
export const ERROR_STATUSES = {
  400: 'The query or the body is not as described',
  404: 'There is no such path',
  405: 'The path does not take this method',
  408: 'The request did not arrive in time',
  413: 'The body, the picture or the number of pictures is too large',
  415: 'The body, or the picture, is of a kind that is not read',
  417: 'An expectation other than 100-continue',
  422: 'A picture that cannot be decoded',
  431: 'The headers are too large',
  500: 'A defect of the server or of the model',
  503: 'Busy, out of time, or shutting down: try again',
} as const;
export type ErrorStatus = keyof typeof ERROR_STATUSES;

export const busy = (message: string) => new HttpError(503, 'BUSY', message, { 'Retry-After': '1' });

/** The client has gone: nobody is there to answer. */
export class ClientGone extends Error {}

/** Any error as a refusal. What is a defect says nothing of itself to the client. */
export function toHttpError(error: unknown): HttpError {
  if (error instanceof HttpError) return error;
  if (error instanceof OrtuneError && error.code === 'IMAGE_UNREADABLE') {
    return new HttpError(422, error.code, error.message);
  }
  if (error instanceof OrtuneError && error.code === 'MODEL_CLOSED') {
    return new HttpError(503, error.code, 'the model has been closed', { 'Retry-After': '5' });
  }
  if (error instanceof OrtuneError && error.code === 'MODEL_RUN') return new HttpError(500, error.code, error.message);
  return new HttpError(500, 'INTERNAL', 'the server failed; its own output has the reason');
}

export const errorBody = ({ code, message }: HttpError) => `${JSON.stringify({ error: { code, message } })}\n`;

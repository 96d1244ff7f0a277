export { EventFile } from './event-file.ts';
export { type ParameterSource, type Recorder, type RecorderOptions, tensorBoardRecorder } from './recorder.ts';

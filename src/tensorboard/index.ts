export { EventFile } from './event-file.ts';
export { type ParameterSource, type Recorder, tensorBoardRecorder } from './recorder.ts';

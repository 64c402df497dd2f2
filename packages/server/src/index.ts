export { type Daemon, startDaemon } from './daemon.js';
export { type Log, openLog } from './log.js';
export { type Address, readSettings, type Settings, type StartFlags } from './settings.js';

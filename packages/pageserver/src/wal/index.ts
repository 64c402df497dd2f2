export type { CaughtUp } from './catch-up.js';
export { type FollowSettings, followDefaults } from './follow-settings.js';
export type { LeftOnSource } from './leave-source.js';
export type { Reason, ReceiverView } from './receiver-view.js';
export type { SlotLook } from './slot-look.js';

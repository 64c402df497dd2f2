export { BackendDeframer, type BackendFrames, backendProtocolError } from './backend-deframer.js';
export * from './backend-messages.js';
export { BodyReader } from './body-reader.js';
export { CopyDataCutter, type CopyDataParts, type HeadBytes } from './copy-data-cutter.js';
export { CopyDataGatherer } from './copy-data-gatherer.js';
export { FRAME_HEADER_BYTES, FrontendType, frameBytes, frameLengthField } from './frontend-frame.js';
export * from './frontend-messages.js';
export { InputBuffer } from './input-buffer.js';
export * from './page-service-command.js';
export * from './pagestream-frames.js';
export { BLCKSZ, PagestreamTag } from './pagestream-layout.js';
export * from './pagestream-request.js';
export * from './pagestream-response.js';
export * from './replication.js';
export { parseStartupMessage, type StartupMessage, startupMessage } from './startup-message.js';
export {
  cancelRequest,
  readStartupPacket,
  STARTUP_BYTES_MAX,
  type StartupPacket,
  TLS_HANDSHAKE,
} from './startup-packet.js';
export { wireError } from './wire-error.js';

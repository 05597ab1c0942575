// native-code.ts: what native code may do for a session, if there is any: the addon has it. Each is the same, to the last
// bit, as what is done without, only quicker.

import type { WritePackets } from '../formats/packets.ts'
import type { NativeStore } from '../model/native-store.ts'

export interface NativeCode extends NativeStore {
  /** For capture files. */
  readonly writePackets: WritePackets
}

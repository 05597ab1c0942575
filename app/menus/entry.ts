// entry.ts: what a menu is made of.

export type MenuEntry =
  | { kind: 'heading'; label: string }
  | { kind: 'line' }
  /** A choice among few, or one that is on or off: the menu stays open. */
  | { kind: 'radio' | 'check'; label: string; on: boolean; run: () => void }
  | {
      kind: 'action'
      label: string
      /** What the label is about, as code. */
      code?: string
      keys?: string
      disabled?: boolean
      run: () => void
    }

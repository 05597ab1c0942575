// Dialog.tsx: a modal dialog on the browser's own element, which keeps the focus inside and gives it back.

import '../styles/dialogs.css'
import type { ComponentChildren } from 'preact'
import { useLayoutEffect, useRef } from 'preact/hooks'
import { openDialog } from '../state/dialogs.ts'
import { Icon } from './Icon.tsx'

export function Dialog({ title, children }: { title: string; children: ComponentChildren }) {
  const dialog = useRef<HTMLDialogElement>(null)
  // At once: what is typed next is meant for it.
  useLayoutEffect(() => {
    const shown = dialog.current!
    shown.showModal()
    // The browser gives the focus back when a dialog is closed, not when it is taken away.
    return () => shown.close()
  }, [])
  const close = () => {
    openDialog.value = null
  }
  return (
    <dialog
      ref={dialog}
      class="dialog"
      aria-label={title}
      // Closed because it is taken away: another one may be open by now.
      onClose={() => dialog.current && close()}
      // A press on the backdrop lands on the dialog itself; one inside lands on what is in it.
      onMouseDown={(event) => {
        if (event.target !== dialog.current) return
        // It would take the focus from whom the closing gives it to.
        event.preventDefault()
        close()
      }}
    >
      <div class="dialog-body">
        <header class="dialog-head">
          <h2>{title}</h2>
          <button type="button" class="button quiet" aria-label="Close" title="Close (Esc)" onClick={close}>
            <Icon name="close" />
          </button>
        </header>
        {children}
      </div>
    </dialog>
  )
}

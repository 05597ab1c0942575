// lazily.tsx: a view whose code is loaded when it is first wanted: the window must not wait for what it begins without.

import type { ComponentType } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { openDialog } from '../state/dialogs.ts'
import { problem } from '../state/link.ts'

/** Shows nothing until the code is there. */
export function lazily(load: () => Promise<ComponentType>): ComponentType {
  let View: ComponentType | null = null
  return function Lazy() {
    const [, redraw] = useState(View !== null)
    useEffect(() => {
      if (View) return
      load().then(
        (view) => {
          View = view
          redraw(true)
        },
        () => {
          openDialog.value = null
          problem.value = 'A part of the window could not be loaded: the core does not answer.'
        },
      )
    }, [])
    return View && <View />
  }
}

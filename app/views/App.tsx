// App.tsx: the window: header, charts, grid, detail, status; and the dialog that is open, if any.

import { useLayoutEffect } from 'preact/hooks'
import { openDialog } from '../state/dialogs.ts'
import { dismiss, notices, problem, selectedRow, session } from '../state/link.ts'
import { openMenu } from '../state/menus.ts'
import { chartsHeight, chartsOpen, detailHeight, detailOpen } from '../state/settings.ts'
import { Charts } from './Charts.tsx'
import { GridPanel } from './GridPanel.tsx'
import { Header } from './Header.tsx'
import { Icon } from './Icon.tsx'
import { lazily } from './lazily.tsx'
import { OpenDialog } from './OpenDialog.tsx'
import { Splitter } from './Splitter.tsx'
import { StatusBar } from './StatusBar.tsx'
import { listenForShortcuts } from './shortcuts.ts'

/** Height that the grid keeps, whatever the other panels ask for. */
const LEAST_GRID_PX = 150

const DetailPane = lazily(() => import('./DetailPane.tsx').then((module) => module.DetailPane))
const PopupMenu = lazily(() => import('./PopupMenu.tsx').then((module) => module.PopupMenu))

export function App() {
  useLayoutEffect(listenForShortcuts, [])
  // Rates are those of a running capture; a file has none.
  const showCharts = chartsOpen.value && session.value?.source !== 'file'
  const showDetail = detailOpen.value && selectedRow.value !== null
  return (
    <div
      class="app"
      style={{
        '--charts-height': showCharts ? `${chartsHeight.value}px` : '0px',
        '--detail-height': showDetail ? `${detailHeight.value}px` : '0px',
      }}
    >
      <Header />
      <Problems />
      {showCharts && (
        <>
          <Charts />
          <Splitter
            label="Height of the charts"
            size={chartsHeight}
            min={132}
            max={() => spaceFor(showDetail ? detailHeight.value : 0)}
            direction={1}
          />
        </>
      )}
      <GridPanel />
      {showDetail && (
        <>
          <Splitter
            label="Height of the details"
            size={detailHeight}
            min={120}
            max={() => spaceFor(showCharts ? chartsHeight.value : 0)}
            direction={-1}
          />
          <DetailPane />
        </>
      )}
      <StatusBar />
      <OpenDialog />
      {openMenu.value && <PopupMenu />}
    </div>
  )
}

function Problems() {
  // The dialog in which something was tried shows what came of it.
  const answer = openDialog.value ? '' : problem.value
  if (!answer && notices.value.length === 0) return null
  return (
    <div class="notices" role="alert">
      {notices.value.map((notice) => (
        <Notice key={notice} text={notice} close={() => dismiss(notice)} />
      ))}
      {answer && (
        <Notice
          text={answer}
          close={() => {
            problem.value = ''
          }}
        />
      )}
    </div>
  )
}

function Notice({ text, close }: { text: string; close: () => void }) {
  return (
    <div class="notice error">
      <Icon name="warning" />
      <span>{text}</span>
      <button type="button" class="button quiet" aria-label="Dismiss" onClick={close}>
        <Icon name="close" />
      </button>
    </div>
  )
}

function spaceFor(otherPanel: number): number {
  const bars = 44 + 24 + 10
  return innerHeight - bars - otherPanel - LEAST_GRID_PX
}

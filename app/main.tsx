// main.tsx: the page's entry: colours first, then the link to the core, then the views.

import './styles/app.css'
import { render } from 'preact'
import { openLink } from './state/link.ts'
import { followTheme } from './state/theme.ts'
import { App } from './views/App.tsx'

followTheme()
openLink()
render(<App />, document.getElementById('app')!)

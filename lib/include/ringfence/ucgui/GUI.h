/* For code that includes "GUI.h" for its memory. */
#ifndef RINGFENCE_UCGUI_GUI_H
#define RINGFENCE_UCGUI_GUI_H

#include <ringfence/ucgui.h>

#endif /* RINGFENCE_UCGUI_GUI_H */

/* Programs that capture by Windows.Graphics.Capture import this one function from coremessaging.dll, which
 * Wine 8 does not have. It says that it is not implemented, which is true. */
#include <windows.h>

typedef struct {
    DWORD size;
    int thread_type;
    int apartment_type;
} queue_options;

__declspec(dllexport) HRESULT WINAPI CreateDispatcherQueueController(queue_options options, void **controller)
{
    (void)options;
    if (controller)
        *controller = NULL;
    return E_NOTIMPL;
}
